package web

import (
	"testing"
	"time"
)

func TestFiguresReadAsTheyAreSpoken(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", -time.Second: "0 s", 3 * time.Microsecond: "3 µs", 400 * time.Microsecond: "0.4 ms", 4 * time.Millisecond: "4 ms", 420 * time.Millisecond: "0.42 s", 2610 * time.Millisecond: "2.61 s",
		22700 * time.Millisecond: "22.7 s", 59960 * time.Millisecond: "1 m 00 s", 198 * time.Second: "3 m 18 s", 3599600 * time.Millisecond: "1 h 00 m",
		1865 * time.Second: "31 m 05 s", 26*time.Hour + 5*time.Minute: "26 h 05 m", 75 * time.Hour: "3 d 03 h",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%d): got %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := count(n); got != want {
			t.Errorf("count(%d): got %q", n, got)
		}
	}
	for s, want := range map[float64]string{0: "0 %", 1: "100 %", 0.934: "93.4 %", 0.5: "50 %", 0.99999: "> 99.9 %", 0.00001: "< 0.1 %"} {
		if got := percent(s); got != want {
			t.Errorf("percent(%v): got %q", s, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 412: "412 B", 1200: "1.2 kB", 999_999: "1.0 MB", 33_554_432: "33.6 MB"} {
		if got := bytesize(n); got != want {
			t.Errorf("bytes(%d): got %q", n, got)
		}
	}
}

func TestRelativeTimes(t *testing.T) {
	now := time.Date(2025, 11, 20, 14, 6, 0, 0, time.UTC)
	for before, want := range map[time.Duration]string{
		0: "now", 30 * time.Second: "30 s ago", 3 * time.Minute: "3 min ago", 2 * time.Hour: "2 h ago", 25 * time.Hour: "yesterday", 72 * time.Hour: "3 days ago",
		60 * 24 * time.Hour: "21 Sep", 400 * 24 * time.Hour: "16 Oct 2024", -time.Hour: "20 Nov 15:06",
	} {
		if got := ago(now, now.Add(-before)); got != want {
			t.Errorf("%v before: got %q, want %q", before, got, want)
		}
	}
}

// Names come from reports that anybody may have written.
func TestNamesAreHostileText(t *testing.T) {
	if got, want := string(breakable(`a_b<script>.x</script>&amp;`)), `a_<wbr>b&lt;script&gt;.<wbr>x&lt;/<wbr>script&gt;&amp;amp;`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := Printable("a\x1b[31m\u202eb\xff\n"); got != "a\ufffd[31m\ufffdb\ufffd\n" {
		t.Errorf("got %q", got)
	}
	for address, want := range map[string]string{
		"https://ci.example/1?a=b": "https://ci.example/1?a=b", "javascript:alert(1)": "", "JavaScript://x/%0aalert(1)": "", "//x/y": "", "/x": "", "data:text/html,x": "", "http://": "",
	} {
		if got := outward(address); got != want {
			t.Errorf("outward(%q): got %q", address, got)
		}
	}
}

func FuzzBreakableNeverOpensATag(f *testing.F) {
	f.Add("<b>&#x3c;i onclick=x>")
	f.Fuzz(func(t *testing.T, name string) {
		rest := string(breakable(name))
		for i := 0; i < len(rest); i++ {
			if rest[i] == '<' && (len(rest) < i+5 || rest[i:i+5] != "<wbr>") {
				t.Fatalf("%q gives %q", name, rest)
			}
		}
	})
}
