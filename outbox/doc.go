// Package outbox makes invalidations as durable as the change they belong to.
//
// A service that changes its database and then invalidates its cache can die
// between the two: the change is there, and the old value stays cached until it
// expires. With an outbox the invalidation is a row, written in the transaction
// of the change:
//
//	tx, err := db.BeginTx(ctx, nil)
//	…                                                     // the change
//	pending, err := box.Add(ctx, tx, suites.Key(42), larder.Tag("suites"))
//	err = tx.Commit()
//	err = pending.Done(ctx)                               // invalidates, at once
//
// [Pending.Done] carries the invalidation out right after the commit, and its
// row is deleted soon after. If the process dies before that, or Redis is away,
// the row stays, and the relay ([Box.Run]) of any process carries it out.
//
// # Guarantees
//
// A committed Add is carried out at least once, by some process that runs a
// relay; one that was rolled back leaves nothing. A row is deleted only after
// [larder.Cache.Invalidate] has returned nil for its target, that is, after
// Redis has confirmed. Invalidations may be repeated and carried out in any
// order: neither matters to a cache. Once Done has returned nil, the promises
// of Invalidate hold as if there were no outbox.
//
// # Limits
//
// Between the death of a process and the relay, at most about two
// [Options.PollInterval], other processes serve the old value. The relay has to
// read the database that is written, not a replica. A row whose target no
// process can carry out (text that is no target, a prefix that nobody declares)
// stays, is logged once and counted in [Stats]. Whoever deletes rows by hand
// loses invalidations.
//
// # Cost
//
// Add is one INSERT in the caller's transaction, whatever the number of
// targets. Done is the one round trip to Redis of Invalidate; rows are deleted
// by the relay, many in one statement. An idle relay reads the newest row's
// number once per PollInterval. A row that is older than one poll is taken for
// abandoned; several relays may take the same one, which costs the
// invalidation twice.
//
// # Changes by hand
//
// [Triggers] returns SQL that makes the database itself write the rows, so that
// a change made with psql or sqlite3 reaches the cache too.
package outbox
