//go:build race

package sqlstore_test

// raceDetector says that everything takes many times as long.
const raceDetector = true
