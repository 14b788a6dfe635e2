package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// rate asks for paths in turn, so many per second, whether or not the answers keep
// up. An answer's time counts from when its request was due, so that a server that
// falls behind is not spared; requests that were not begun at the end have none.
func (g *generator) rate(paths []string, perSecond int, during time.Duration) measured {
	g.t.Helper()
	due := int(during.Seconds() * float64(perSecond))
	m := measured{asked: due}
	before := g.usage()
	ctx, cancel := context.WithTimeout(g.t.Context(), during+5*time.Second)
	defer cancel()
	var mu sync.Mutex
	var clients sync.WaitGroup
	turns := make(chan int, due)
	begin := time.Now()
	for range loadClients {
		clients.Go(func() {
			for i := range turns {
				at := begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
				err := g.get(ctx, paths[i%len(paths)])
				mu.Lock()
				if err == nil {
					m.took = append(m.took, time.Since(at))
				} else if ctx.Err() == nil {
					m.failed++
				}
				mu.Unlock()
			}
		})
	}
	for i := range due {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
		turns <- i
	}
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

// spent is what a server has used so far.
type spent struct {
	cpu           time.Duration
	mallocs, size float64
}

func (m *measured) add(before, after spent) {
	m.cpu = after.cpu - before.cpu
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
	return u
}
