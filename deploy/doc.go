// Package deploy holds the files with which qadash is run, and the tests that
// read each of them as the program does that it is for.
package deploy
