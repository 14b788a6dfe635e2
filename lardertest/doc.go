// Package lardertest helps to test caches: a Redis server that can be paused
// and killed, a network that can be cut, a fake of the shared tier for virtual
// time, the conformance suite of that tier, and a checker that finds stale
// reads in any cache.
//
// Import it from tests, benchmarks and test programs only.
package lardertest
