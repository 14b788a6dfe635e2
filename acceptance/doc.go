// Package acceptance tests whole processes: nodes that share a Redis, and the
// qadash program, under what production does to them. Processes are killed and
// servers stopped by signal; nothing is simulated.
//
// The tests start this very test program again as their nodes (see node_test.go)
// and every server on a free loopback port. They print what they measure.
// LARDER_LONG=1 gives the long forms with the figures of docs/resilience.md.
package acceptance
