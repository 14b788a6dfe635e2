package web

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Units stand after a space, figures have thousands separated by commas and a
// duration shows two parts at most: "3 m 18 s", "93.4 %", "1.2 kB", "4,823".

// count writes a whole number.
func count[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// plural writes a count with its noun: "1 case", "2 cases".
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// duration writes a span of time with the precision that a reader can use.
func duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < 100*time.Microsecond:
		return strconv.FormatFloat(float64(d)/1e3, 'f', 0, 64) + " µs"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(float64(d)/1e6, 'g', 2, 64) + " ms"
	case d < 9995*time.Millisecond:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < 59950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	d = d.Round(time.Second)
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d m %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d m", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %02d h", int(d.Hours())/24, int(d.Hours())%24)
}

// latency writes the time of an answer; tens of milliseconds count there.
func latency(d time.Duration) string {
	if d >= 10*time.Millisecond && d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return duration(d)
}

// percent writes a share of one, with a decimal where it tells something.
func percent(share float64) string { return percentFigure(share) + " %" }

// percentFigure never rounds a share to 0 or 100 that is neither: "100 %" is a
// claim.
func percentFigure(share float64) string {
	p := math.Round(share*1000) / 10
	switch {
	case p == 0 && share > 0:
		return "< 0.1"
	case p == 100 && share < 1:
		return "> 99.9"
	case p == math.Trunc(p):
		return strconv.Itoa(int(p))
	}
	return strconv.FormatFloat(p, 'f', 1, 64)
}

// bytesize writes a size in decimal units.
func bytesize(n int64) string {
	f, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 || f >= 99.5 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

// ago writes how long before now t lies.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < -time.Minute:
		return t.Format("2 Jan 15:04")
	case d < 10*time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	case d < 48*time.Hour:
		return "yesterday"
	case d < 30*24*time.Hour:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// breakable escapes a name and then lets it break after _ / . and :. The order
// matters: names come from reports and are hostile text.
func breakable(name string) template.HTML {
	escaped := template.HTMLEscapeString(Printable(name))
	// An entity contains no separator and so stays whole.
	return template.HTML(breaks.Replace(escaped)) //nolint:gosec // escaped above
}

var breaks = strings.NewReplacer("_", "_<wbr>", "/", "/<wbr>", ".", ".<wbr>", ":", ":<wbr>")

// Printable replaces control characters, which a page must not carry, and the
// marks that turn the direction of text, which let a name pretend to be another.
func Printable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case c < ' ' || c >= 0x7f && c < 0xa0:
			return '\ufffd'
		case c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069:
			return '\ufffd'
		}
		return c
	}, strings.ToValidUTF8(text, "\ufffd"))
}

// commit shortens a hash as git does and leaves other names alone.
func commit(id string) string {
	if len(id) < 12 || strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" {
		return id
	}
	return id[:7]
}

// outward returns an address that a page may link to, or nothing: reports may
// name any scheme, only http and https are followed.
func outward(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}
