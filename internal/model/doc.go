// Package model is an exhaustive model of the freshness contract: small
// configurations of nodes, servers, writers and faults, each explored over all
// interleavings of its steps, breadth first, so that a violation comes with a
// shortest trace.
//
// A configuration has the protocol as it is, which must hold, and mutants that
// drop one rule each, which must be caught: a rule without a mutant that is
// caught would be superstition, a mutant that is not caught means that the
// configuration is too small to need the rule. Variants marked harmless change
// something that must not matter.
//
// The promises that the configurations name:
//
//	P1  an exact Get returns a value loaded after every invalidation that had
//	    returned when the Get began
//	P2  a Get with tolerance D returns nothing that has been invalid for longer
//	P3  after a strict invalidation has returned, P1 also holds for memory hits
//	P4  a value loaded before an invalidation is never valid in Redis after it
//	P5  between two invalidations a key is loaded once
//	P6  an invalidation that was not confirmed never returns nil
//
// Bounds are small: two or three invalidations, one to three Gets for each
// reader, one or two faults of a kind. Short runs leave out what takes longest;
// LARDER_MODEL=full runs everything.
//
// Left out, and held by tests of the code alone: when an early refresh is drawn,
// values that outlast an outage (P2 is given up for them by request), values of
// two versions of the program side by side, and batches of refreshes.
package model
