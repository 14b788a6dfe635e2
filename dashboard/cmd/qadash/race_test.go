//go:build race

package main

// raceDetector says that everything takes many times as long, and as much memory.
const raceDetector = true
