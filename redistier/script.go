package redistier

import (
	"crypto/rand"
	"crypto/sha1"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// script is a Lua script of keys in one slot. Redis knows it by the SHA-1 of its text.
type script struct {
	text, sha string
}

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text))
	return &script{text: text, sha: hex.EncodeToString(sum[:])}
}

//go:embed scripts/acquire.lua
var acquireText string

//go:embed scripts/takeover.lua
var takeoverText string

//go:embed scripts/fill.lua
var fillText string

//go:embed scripts/refill.lua
var refillText string

//go:embed scripts/release.lua
var releaseText string

//go:embed scripts/renew.lua
var renewText string

//go:embed scripts/set.lua
var setText string

//go:embed scripts/set_keeping.lua
var setKeepingText string

// Parts of scripts that read values.
//
//go:embed scripts/uvarint.lua
var uvarintText string

//go:embed scripts/opening.lua
var openingText string

//go:embed scripts/set_newer.lua
var setNewerText string

//go:embed scripts/delete_keeping.lua
var deleteKeepingText string

//go:embed scripts/hold.lua
var holdText string

//go:embed scripts/generation.lua
var generationText string

//go:embed scripts/births.lua
var birthsText string

//go:embed scripts/tags_since.lua
var tagsSinceText string

//go:embed scripts/expire.lua
var expireText string

//go:embed scripts/inspect.lua
var inspectText string

//go:embed scripts/lock.lua
var lockText string

//go:embed scripts/rank.lua
var rankText string

//go:embed scripts/confirm.lua
var confirmText string

//go:embed scripts/laggards.lua
var laggardsText string

//go:embed scripts/remove.lua
var removeText string

//go:embed scripts/enroll.lua
var enrollText string

//go:embed scripts/beat.lua
var beatText string

//go:embed scripts/acknowledge.lua
var acknowledgeText string

var (
	acquireScript       = newScript(acquireText)
	takeoverScript      = newScript(takeoverText)
	fillScript          = newScript(fillText)
	refillScript        = newScript(refillText)
	releaseScript       = newScript(releaseText)
	renewScript         = newScript(renewText)
	setScript           = newScript(setText)
	setKeepingScript    = newScript(setKeepingText)
	setNewerScript      = newScript(uvarintText + openingText + setNewerText)
	deleteKeepingScript = newScript(deleteKeepingText)
	holdScript          = newScript(holdText)
	generationScript    = newScript(generationText)
	birthsScript        = newScript(birthsText)
	tagsSinceScript     = newScript(tagsSinceText)
	expireScript        = newScript(uvarintText + openingText + expireText)
	inspectScript       = newScript(inspectText)
	lockScript          = newScript(lockText)
	rankScript          = newScript(rankText)
	confirmScript       = newScript(confirmText)
	laggardsScript      = newScript(laggardsText)
	removeScript        = newScript(removeText)
	enrollScript        = newScript(enrollText)
	beatScript          = newScript(beatText)
	acknowledgeScript   = newScript(acknowledgeText)

	// scripts are loaded when a connection is made, so that EVALSHA fails only
	// after a SCRIPT FLUSH.
	scripts = [...]*script{
		acquireScript,
		takeoverScript,
		fillScript,
		refillScript,
		releaseScript,
		renewScript,
		setScript,
		setKeepingScript,
		setNewerScript,
		deleteKeepingScript,
		holdScript,
		generationScript,
		birthsScript,
		tagsSinceScript,
		expireScript,
		inspectScript,
		lockScript,
		rankScript,
		confirmScript,
		laggardsScript,
		removeScript,
		enrollScript,
		beatScript,
		acknowledgeScript,
	}
)

// scriptOf is indexed by the kinds that are no plain command.
var scriptOf = [...]*script{
	larder.OpAcquire:    acquireScript,
	larder.OpTakeover:   takeoverScript,
	larder.OpFill:       fillScript,
	larder.OpRefill:     refillScript,
	larder.OpRelease:    releaseScript,
	larder.OpRenew:      renewScript,
	larder.OpSet:        setScript,
	larder.OpSetNewer:   setNewerScript,
	larder.OpDelete:     deleteKeepingScript,
	larder.OpHold:       holdScript,
	larder.OpUnhold:     holdScript,
	larder.OpGeneration: generationScript,
	larder.OpBirths:     birthsScript,
	larder.OpTagsSince:  tagsSinceScript,
	larder.OpExpire:     expireScript,
	larder.OpInspect:    inspectScript,
	larder.OpLock:       lockScript,
	larder.OpRank:       rankScript,
}

// scriptFor returns the script of an op that is no plain command.
func scriptFor(op *larder.Op) *script {
	if op.Kind == larder.OpSet && op.KeepHold {
		return setKeepingScript
	}
	return scriptOf[op.Kind]
}

// scriptKeys returns KEYS of the op's script.
func (k *keys) scriptKeys(op *larder.Op) []string {
	switch op.Kind {
	case larder.OpTagsSince:
		return append([]string{op.Key}, op.Keys...)
	case larder.OpLock:
		return []string{op.Key, op.Key + fenceSuffix}
	case larder.OpGeneration:
		if log := k.logOf(op.Key); log != "" && !op.Unlisted {
			return []string{op.Key, log}
		}
	}
	return []string{op.Key}
}

// fenceSuffix ends the key of a lock's last number. It keeps the slot of the
// lock, whose name has no colon of its own.
const fenceSuffix = ":fence"

// fenceLife is for how long the last number of a lock is remembered. What is
// forgotten is replaced by the server's clock, so it bounds how far that may be
// set back.
const fenceLife = 24 * time.Hour

// firstLogLife is for how long a log lives that lists no birth yet; births
// prolong it.
const firstLogLife = 24 * time.Hour

// argumentsMost is how many arguments scripts of writes take for a key, at most.
const argumentsMost = 3

// arguments returns ARGV of the op's script. The value is copied: the client
// may still send it after its caller has gone.
func arguments(op *larder.Op) []string {
	switch op.Kind {
	case larder.OpAcquire, larder.OpRenew:
		return []string{lease(op.Token), millis(op.TTL)}
	case larder.OpTakeover:
		return []string{op.Expect, lease(op.Token), millis(op.TTL)}
	case larder.OpFill:
		return []string{lease(op.Token), string(op.Value), millis(op.TTL)}
	case larder.OpRefill:
		return []string{op.Expect, string(op.Value), millis(op.TTL)}
	case larder.OpRelease:
		return []string{lease(op.Token)}
	case larder.OpSet:
		return []string{string(op.Value), millis(op.TTL)}
	case larder.OpSetNewer:
		return []string{string(op.Value), millis(op.TTL), string(binary.BigEndian.AppendUint64(nil, op.Version))}
	case larder.OpExpire:
		id := op.Token.ID()
		return []string{string(id[:])}
	case larder.OpHold:
		return []string{string(op.Token[:]), millis(op.TTL)}
	case larder.OpUnhold:
		return []string{string(op.Token[:]), "0"}
	case larder.OpGeneration:
		return []string{string(op.Value), millis(op.TTL), birthID()}
	case larder.OpTagsSince:
		return []string{op.Expect, birthID(), millis(firstLogLife)}
	case larder.OpLock:
		return []string{lease(op.Token), millis(op.TTL), millis(fenceLife)}
	case larder.OpRank:
		return rankArguments(op)
	}
	return nil
}

// rankArguments returns ARGV of OpRank: life, limit, then names and counts.
func rankArguments(op *larder.Op) []string {
	ranks, _ := frame.ParseRanks(string(op.Value)) // our own bytes
	args := append(make([]string, 0, 2+2*len(ranks)), millis(op.TTL), strconv.Itoa(frame.RankLimit))
	for _, r := range ranks {
		args = append(args, r.Name, strconv.FormatUint(r.Count, 10))
	}
	return args
}

// birthID returns 8 random bytes.
func birthID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return string(id[:])
}

func lease(t frame.Token) string { return string(frame.AppendLease(nil, t)) }

// millis is the form of a time to live in Redis, which knows none below 1 ms.
func millis(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}
