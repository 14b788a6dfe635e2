//go:build !race

package main

// raceDetector would say that everything takes more than its usual time and memory.
const raceDetector = false
