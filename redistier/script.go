package redistier

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// script is a Lua script of one key. Redis knows it by the SHA-1 of its text.
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

//go:embed scripts/generation.lua
var generationText string

//go:embed scripts/inspect.lua
var inspectText string

var (
	acquireScript    = newScript(acquireText)
	takeoverScript   = newScript(takeoverText)
	fillScript       = newScript(fillText)
	refillScript     = newScript(refillText)
	releaseScript    = newScript(releaseText)
	renewScript      = newScript(renewText)
	setScript        = newScript(setText)
	generationScript = newScript(generationText)
	inspectScript    = newScript(inspectText)

	// scripts are loaded when a connection is made, so that EVALSHA fails only
	// after a SCRIPT FLUSH.
	scripts = [...]*script{
		acquireScript, takeoverScript, fillScript, refillScript, releaseScript,
		renewScript, setScript, generationScript, inspectScript,
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
	larder.OpGeneration: generationScript,
	larder.OpInspect:    inspectScript,
}

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
	case larder.OpSet, larder.OpGeneration:
		return []string{string(op.Value), millis(op.TTL)}
	}
	return nil
}

func lease(t frame.Token) string { return string(frame.AppendLease(nil, t)) }

// millis is the form of a time to live in Redis, which knows none below 1 ms.
func millis(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}
