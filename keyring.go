package larder

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/larder-go/larder/internal/seal"
)

// EncryptionKey is a secret that values are encrypted with.
type EncryptionKey struct {
	// ID names the key in stored values, where anybody may read it: 1 to 32
	// letters, digits, '.', '_' and '-'. Never use it again for another secret.
	ID string
	// Secret has 32 random bytes.
	Secret []byte
}

// KeyRing is what values are encrypted and decrypted with: new ones under its
// primary key, old ones under whichever of its keys made them, so that keys are
// changed without losing what is cached. It never changes; all methods may be
// called concurrently.
type KeyRing struct{ ring *seal.Ring }

// NewKeyRing returns a ring that encrypts under primary and decrypts under
// others too. It fails for bad ids and secrets, naming the id.
func NewKeyRing(primary EncryptionKey, others ...EncryptionKey) (*KeyRing, error) {
	return newKeyRing(append([]EncryptionKey{primary}, others...))
}

func newKeyRing(keys []EncryptionKey) (*KeyRing, error) {
	list := make([]seal.Key, len(keys))
	for i, k := range keys {
		list[i] = seal.Key{ID: k.ID, Secret: k.Secret}
	}
	ring, err := seal.NewRing(list...)
	if err != nil {
		return nil, fmt.Errorf("larder: key ring: %w", err)
	}
	return &KeyRing{ring}, nil
}

// IDs returns the names of the keys, the primary one first.
func (r *KeyRing) IDs() []string { return r.ring.IDs() }

// engine returns the ring inside; nil for none.
func (r *KeyRing) engine() *seal.Ring {
	if r == nil {
		return nil
	}
	return r.ring
}

// ParseKeyRing reads a key ring in the form of a key file: one "id:secret" a
// line, the primary key first, the secret in base64 (as from openssl rand
// -base64 32). Empty lines and lines that begin with '#' are skipped. Its
// errors name the line and never repeat a secret.
func ParseKeyRing(text string) (*KeyRing, error) {
	var keys []EncryptionKey
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		id, encoded, found := strings.Cut(line, ":")
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if !found || err != nil {
			return nil, fmt.Errorf("larder: key ring: line %d: want id:secret with the secret in base64", i+1)
		}
		keys = append(keys, EncryptionKey{ID: strings.TrimSpace(id), Secret: secret})
	}
	return newKeyRing(keys)
}

// maxKeyFile is the size from which a file holds something else than keys.
const maxKeyFile = 64 << 10

// ReadKeyFile is [ParseKeyRing] for a file. It refuses files that everybody may
// read, or that others than their owner may change: chmod 600 makes one right,
// for a mounted secret its mode 0400.
func ReadKeyFile(path string) (*KeyRing, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("larder: key file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("larder: key file: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("larder: key file %s: is no regular file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o027 != 0:
		return nil, fmt.Errorf("larder: key file %s: mode %04o lets others read or change it; want 0600, 0640 or 0400", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err == nil && len(text) > maxKeyFile {
		err = errors.New("larger than 64 KiB")
	}
	if err != nil {
		return nil, fmt.Errorf("larder: key file %s: %w", path, err)
	}
	ring, err := ParseKeyRing(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, path)
	}
	return ring, nil
}
