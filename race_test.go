//go:build race

package larder_test

// underRace says that tests take ten times as long.
const underRace = true
