// Package seal encrypts payloads so that they open only under the key, and with
// the additional data, they were sealed with: XAES-256-GCM as C2SP specifies it
// (https://c2sp.org/XAES-256-GCM), built of AES from the standard library.
//
// Plain AES-256-GCM with random nonces must not seal more than 2^32 messages
// under one key, which a busy cache reaches within days. XAES derives a key for
// each value of the first half of its nonce. A ring draws that half once for
// 2^32 messages, and keeps the derived key.
//
//	sealed payload   length of the id[1] id prefix[12] nonce[12] ciphertext tag[16]
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// KeySize is the length of a secret in bytes.
const KeySize = 32

// MaxID is the length of the longest id in bytes.
const MaxID = 32

const (
	prefixSize = 12
	nonceSize  = 12
	tagSize    = 16
)

// Errors of [Ring.Open].
var (
	// ErrUnknownKey reports an id that is not in the ring.
	ErrUnknownKey = errors.New("seal: unknown key")
	// ErrRefused reports bytes that were not sealed under this key and with
	// this additional data, or were changed since.
	ErrRefused = errors.New("seal: not authentic")
)

// Key is a secret with a name that may be known.
type Key struct {
	ID     string
	Secret []byte // KeySize bytes
}

// Ring seals under its first key and opens what any of its keys sealed. All
// methods may be called concurrently.
type Ring struct {
	keys    []ringKey
	mu      sync.Mutex // renews
	writing atomic.Pointer[writer]
	// Derived keys of recent prefixes, a few of each process that writes.
	derived [512]atomic.Pointer[derived]
}

type ringKey struct {
	id   string
	main cipher.Block
	k1   [aes.BlockSize]byte // of CMAC
}

// writer is the derived key that is sealed under at present.
type writer struct {
	derived
	left atomic.Int64 // messages
}

type derived struct {
	key    int // index in Ring.keys
	prefix [prefixSize]byte
	aead   cipher.AEAD
}

// perPrefix is how many messages are sealed under one derived key.
const perPrefix = 1 << 32

// NewRing returns a ring that seals under the first of keys. It fails without
// keys, for a secret that is not [KeySize] bytes long, an id that occurs twice
// or has other characters than letters, digits, '.', '_' and '-', or none, or
// more than [MaxID].
func NewRing(keys ...Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key")
	}
	r := &Ring{}
	for _, k := range keys {
		if err := checkID(k.ID); err != nil {
			return nil, err
		}
		if r.index(k.ID) >= 0 {
			return nil, fmt.Errorf("key %q: occurs twice", k.ID)
		}
		if len(k.Secret) != KeySize {
			return nil, fmt.Errorf("key %q: the secret has %d bytes, want %d", k.ID, len(k.Secret), KeySize)
		}
		main, err := aes.NewCipher(k.Secret)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, ringKey{id: k.ID, main: main, k1: subkey(main)})
	}
	return r, nil
}

func checkID(id string) error {
	if id == "" || len(id) > MaxID {
		return fmt.Errorf("key id %.40q: want 1 to %d characters", id, MaxID)
	}
	if rest := strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"); rest != "" {
		return fmt.Errorf("key id %q: want letters, digits, '.', '_' and '-'", id)
	}
	return nil
}

// IDs returns the ids of the ring, the one that seals first.
func (r *Ring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i := range r.keys {
		ids[i] = r.keys[i].id
	}
	return ids
}

func (r *Ring) index(id string) int {
	for i := range r.keys {
		if r.keys[i].id == id {
			return i
		}
	}
	return -1
}

// Overhead is how much longer a sealed payload is than the plain one.
func (r *Ring) Overhead() int { return 1 + len(r.keys[0].id) + prefixSize + nonceSize + tagSize }

// Seal appends the sealed form of plain to dst. Only who gives the same
// additional data can open it. It allocates only when dst must grow.
func (r *Ring) Seal(dst, plain, additional []byte) []byte {
	w := r.writer()
	id := r.keys[w.key].id
	dst = append(append(append(dst, byte(len(id))), id...), w.prefix[:]...)
	start := len(dst)
	dst = append(dst, make([]byte, nonceSize)...)
	nonce := dst[start:]
	rand.Read(nonce) // never fails
	return w.aead.Seal(dst, nonce, plain, additional)
}

// writer returns the derived key to seal one more message under.
func (r *Ring) writer() *writer {
	if w := r.writing.Load(); w != nil && w.left.Add(-1) >= 0 {
		return w
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.writing.Load(); w != nil && w.left.Add(-1) >= 0 {
		return w // another caller was faster
	}
	w := &writer{}
	rand.Read(w.prefix[:])
	w.aead = r.keys[0].derive(w.prefix)
	w.left.Store(perPrefix - 1)
	r.writing.Store(w)
	return w
}

// Open appends what was sealed to dst. It fails with [ErrUnknownKey] or
// [ErrRefused], and allocates only when dst must grow or the prefix is new.
func (r *Ring) Open(dst, sealed, additional []byte) ([]byte, error) {
	id, rest, ok := split(sealed)
	if !ok {
		return nil, ErrRefused
	}
	key := r.indexOf(id)
	if key < 0 {
		return nil, ErrUnknownKey
	}
	prefix := [prefixSize]byte(rest)
	nonce, ciphertext := rest[prefixSize:prefixSize+nonceSize], rest[prefixSize+nonceSize:]
	out, err := r.opener(key, prefix).Open(dst, nonce, ciphertext, additional)
	if err != nil {
		return nil, ErrRefused
	}
	return out, nil
}

// KeyID returns the id of the key that a payload says it is sealed under.
func KeyID(sealed []byte) (id string, ok bool) {
	b, _, ok := split(sealed)
	return string(b), ok
}

func split(sealed []byte) (id, rest []byte, ok bool) {
	if len(sealed) == 0 || len(sealed) < 1+int(sealed[0])+prefixSize+nonceSize+tagSize || sealed[0] > MaxID {
		return nil, nil, false
	}
	n := 1 + int(sealed[0])
	return sealed[1:n], sealed[n:], true
}

func (r *Ring) indexOf(id []byte) int {
	for i := range r.keys {
		if r.keys[i].id == string(id) { // does not allocate
			return i
		}
	}
	return -1
}

// opener returns the derived key of a prefix. Prefixes are random, so their
// first bytes spread them over the table; two at one place displace each other.
func (r *Ring) opener(key int, prefix [prefixSize]byte) cipher.AEAD {
	place := &r.derived[int(binary.LittleEndian.Uint16(prefix[:]))%len(r.derived)]
	if d := place.Load(); d != nil && d.key == key && d.prefix == prefix {
		return d.aead
	}
	d := &derived{key: key, prefix: prefix, aead: r.keys[key].derive(prefix)}
	place.Store(d)
	return d.aead
}

// subkey returns K1 of CMAC (NIST SP 800-38B).
func subkey(main cipher.Block) (k1 [aes.BlockSize]byte) {
	main.Encrypt(k1[:], k1[:])
	carry := byte(0)
	for i := len(k1) - 1; i >= 0; i-- {
		k1[i], carry = k1[i]<<1|carry, k1[i]>>7
	}
	k1[len(k1)-1] ^= carry * 0x87
	return k1
}

// derive returns AES-256-GCM under the key that XAES-256-GCM derives for nonces
// that begin with prefix: NIST SP 800-108 in counter mode with CMAC.
func (k *ringKey) derive(prefix [prefixSize]byte) cipher.AEAD {
	var secret [KeySize]byte
	for i := range 2 {
		block := secret[i*aes.BlockSize : (i+1)*aes.BlockSize]
		copy(block, []byte{0, byte(i + 1), 'X', 0})
		copy(block[4:], prefix[:])
		for j := range block {
			block[j] ^= k.k1[j]
		}
		k.main.Encrypt(block, block)
	}
	main, err := aes.NewCipher(secret[:])
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCM(main)
	if err != nil {
		panic(err) // the block size is right
	}
	return aead
}
