package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// loadClients is the number of connections of the load generator.
const loadClients = 64

// measured is what a span of requests brought.
type measured struct {
	asked  int // by the schedule
	took   []time.Duration
	failed int
	wall   time.Duration
	cpu    time.Duration // of the server
	own    time.Duration // CPU of the generator, which runs beside it
	late   time.Duration // by which 99 % of the requests left at most after they were due
	allocs float64       // of the server, per request
	bytes  float64
}

// at returns a quantile of the answers, zero of none.
func (m measured) at(q float64) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	return m.took[min(len(m.took)-1, int(q*float64(len(m.took))))]
}

// generator sends requests to a server.
type generator struct {
	t      *testing.T
	server *process
	client *http.Client
}

func newGenerator(t *testing.T, server *process) *generator {
	transport := &http.Transport{MaxIdleConnsPerHost: loadClients, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &generator{t, server, &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// get reads an answer whole.
func (g *generator) get(ctx context.Context, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.server.url+path, nil)
	if err != nil {
		return err
	}
	response, err := g.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return nil
}

// alone asks for a path again and again, one request at a time.
func (g *generator) alone(path string, times int) measured {
	g.t.Helper()
	m := measured{asked: times}
	for range times {
		begin := time.Now()
		if err := g.get(g.t.Context(), path); err != nil {
			g.t.Fatal(err)
		}
		m.took = append(m.took, time.Since(begin))
	}
	slices.Sort(m.took)
	return m
}

// turn is a request that is due.
type turn struct {
	number int
	at     time.Time
}

// rate asks for paths in turn, so many per second, whether or not the answers keep
// up. An answer's time counts from when its request was due, so that a server that
// falls behind is not spared; requests that were not begun at the end have none.
// When the generator itself woke up late it counts from then, and how late is told.
func (g *generator) rate(paths []string, perSecond int, during time.Duration) measured {
	g.t.Helper()
	due := int(during.Seconds() * float64(perSecond))
	m := measured{asked: due}
	before := g.usage()
	ctx, cancel := context.WithTimeout(g.t.Context(), during+5*time.Second)
	defer cancel()
	var mu sync.Mutex
	var clients sync.WaitGroup
	turns := make(chan turn, due)
	begin := time.Now()
	for range loadClients {
		clients.Go(func() {
			for turn := range turns {
				err := g.get(ctx, paths[turn.number%len(paths)])
				mu.Lock()
				if err == nil {
					m.took = append(m.took, time.Since(turn.at))
				} else if ctx.Err() == nil {
					m.failed++
				}
				mu.Unlock()
			}
		})
	}
	m.late = pace(turns, begin, time.Second/time.Duration(perSecond))
	for len(turns) > 0 && time.Since(begin) < during+time.Second {
		time.Sleep(time.Millisecond)
	}
	for late := true; late; { // those who did not get their turn
		select {
		case <-turns:
		default:
			late = false
		}
	}
	close(turns)
	clients.Wait()
	m.wall = time.Since(begin)
	m.add(before, g.usage())
	slices.Sort(m.took)
	return m
}

// pace fills turns, one per interval. It has a thread of its own that sleeps in the
// kernel: timers of the runtime wake up a millisecond late when nothing else runs.
func pace(turns chan<- turn, begin time.Time, interval time.Duration) (late time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	lates := make([]time.Duration, cap(turns))
	for i := range lates {
		at := begin.Add(time.Duration(i) * interval)
		for left := time.Until(at); left > 0; left = time.Until(at) {
			span := syscall.NsecToTimespec(left.Nanoseconds())
			_ = syscall.Nanosleep(&span, nil) // interrupted, it goes on
		}
		now := time.Now()
		lates[i] = now.Sub(at)
		turns <- turn{i, now}
	}
	slices.Sort(lates)
	return lates[min(len(lates)-1, len(lates)*99/100)]
}

// spent is what a server has used so far.
type spent struct {
	cpu, own      time.Duration // own is the generator's
	mallocs, size float64
}

func (m *measured) add(before, after spent) {
	m.cpu, m.own = after.cpu-before.cpu, after.own-before.own
	n := float64(max(1, len(m.took)))
	m.allocs, m.bytes = (after.mallocs-before.mallocs)/n, (after.size-before.size)/n
}

func (g *generator) usage() (u spent) {
	g.t.Helper()
	response, err := g.client.Get(g.server.url + "/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_memstats_mallocs_total":
			u.mallocs = n
		case "go_memstats_alloc_bytes_total":
			u.size = n
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.server.cmd.Process.Pid))
	if err != nil {
		g.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	u.cpu = time.Duration(user+system) * 10 * time.Millisecond
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		g.t.Fatal(err)
	}
	u.own = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	return u
}
