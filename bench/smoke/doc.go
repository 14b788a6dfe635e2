// Package smoke holds, in a few seconds, what the benchmarks promise about the
// memory hit: it allocates nothing, and in relation to otter's it is not much
// slower than recorded. The race detector would decide both, so its test is
// built without; scripts/test runs it in a step of its own.
package smoke
