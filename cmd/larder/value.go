package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/larder-go/larder"
	larderpack "github.com/larder-go/larder/msgpack"
)

// Codecs by the ID that entries carry.
const (
	codecJSON    = 0
	codecBytes   = 1
	codecText    = 2
	codecMsgpack = larderpack.ID
)

var codecNames = map[uint8]string{codecJSON: "json", codecBytes: "bytes", codecText: "text", codecMsgpack: "msgpack"}

func codecName(x *larder.Explanation) string {
	if name, ok := codecNames[x.Codec]; ok {
		return name
	}
	return fmt.Sprintf("codec %d of the program", x.Codec)
}

var compressionNames = [4]string{"none", "s2", "zstd", "unknown"}

// keys reads the key file; nil without one.
func (a *app) keys() (*larder.KeyRing, error) {
	path := a.flags.keyFile
	if path == "" {
		path = a.getenv("CACHE_KEY_FILE")
	}
	if path == "" {
		return nil, nil
	}
	ring, err := larder.ReadKeyFile(path)
	if err != nil {
		return nil, usage("%w", err)
	}
	return ring, nil
}

// payload opens what is stored: decrypted and inflated.
func (a *app) payload(x *larder.Explanation) ([]byte, error) {
	if x.State == larder.StateForeign || x.Negative {
		return []byte(x.Payload), nil
	}
	keys, err := a.keys()
	if err != nil {
		return nil, err
	}
	if x.Sealed && keys == nil {
		return nil, usage("%s is encrypted: name the keys by --key-file or CACHE_KEY_FILE; --meta shows the rest", x.Name)
	}
	data, err := larder.OpenPayload(x.Key, x.Stored, keys)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened: %w", x.Name, err)
	}
	return data, nil
}

// shown returns a payload as a person reads it, and as a part of a JSON
// document: documents as they are, msgpack as JSON, text, and bytes that are no
// text as base64.
func shown(x *larder.Explanation, data []byte) (text string, document json.RawMessage) {
	if x.Negative {
		return "null", json.RawMessage("null")
	}
	if x.Codec == codecMsgpack && x.State != larder.StateForeign {
		if j, err := fromMsgpack(data); err == nil {
			data = j
		}
	}
	if (x.Codec == codecJSON || x.Codec == codecMsgpack || x.State == larder.StateForeign) && json.Valid(data) {
		return string(data), json.RawMessage(bytes.TrimSpace(data))
	}
	if utf8.Valid(data) {
		quoted, _ := json.Marshal(string(data)) // a string always has a form
		return string(data), quoted
	}
	encoded, _ := json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(data)})
	return string(data), encoded
}

// fromMsgpack turns msgpack into JSON. Keys of maps become strings.
func fromMsgpack(data []byte) ([]byte, error) {
	d := msgpack.NewDecoder(bytes.NewReader(data))
	d.SetMapDecoder(func(d *msgpack.Decoder) (any, error) { return d.DecodeUntypedMap() })
	v, err := d.DecodeInterface()
	if err != nil {
		return nil, err
	}
	return json.Marshal(stringKeys(v))
}

func stringKeys(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[fmt.Sprint(key)] = stringKeys(value)
		}
		return m
	case []any:
		for i := range v {
			v[i] = stringKeys(v[i])
		}
	}
	return v
}
