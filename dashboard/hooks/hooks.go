// Package hooks delivers webhooks: one JSON document when a suite becomes red
// on a branch, and one when it recovers.
//
// Deliveries wait in the store, each claimed by one process at a time, so none
// is lost with a process. A delivery may arrive twice; its id tells.
package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// Options configure a Sender. Store is required.
type Options struct {
	Store dashboard.WebhookStore
	// AllowPrivate lets webhooks go to loopback, private and link-local
	// addresses. Default: they are refused when the connection is made, whatever
	// the name resolved to, so that nobody reaches inner services through this one.
	AllowPrivate bool
	// Every is how often the store is asked for deliveries. Default 5 s.
	Every time.Duration
	// BaseURL is put in front of the address of an execution; may be empty.
	BaseURL string
	Log     *slog.Logger // default: slog.Default()
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Tries and their spacing: 30 s, 1 min, 2 min … up to about an hour.
const (
	maxTries   = 8
	firstRetry = 30 * time.Second
	claim      = 10
	lease      = claim*sendTime + 20*time.Second // outlasts a claim of which each target is slow
	sendTime   = 10 * time.Second
)

// Sender delivers what the store owes. It starts no goroutines but in Run.
type Sender struct {
	Options
	client *http.Client
}

// New makes a sender.
func New(o Options) *Sender {
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sender{Options: o}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: s.control}
	s.client = &http.Client{
		Timeout:       sendTime,
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: 5 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

var errPrivate = errors.New("the address is not a public one")

// control sees the address after the name was resolved.
func (s *Sender) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := to.Addr().Unmap()
	if !s.AllowPrivate && (!ip.IsGlobalUnicast() || ip.IsPrivate() || inner.Contains(ip)) {
		return errPrivate
	}
	return nil
}

// inner is the shared address space of carriers, where clouds keep metadata.
var inner = netip.MustParsePrefix("100.64.0.0/10")

// Run delivers until the context ends.
func (s *Sender) Run(ctx context.Context) {
	ticker := time.NewTicker(s.Every)
	defer ticker.Stop()
	for {
		if err := s.Deliver(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "webhooks: the store does not answer", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Deliver delivers what is due now. Its error is of the store.
func (s *Sender) Deliver(ctx context.Context) error {
	for {
		due, err := s.Store.ClaimDeliveries(ctx, claim, lease)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, d := range due {
			if err := s.Store.FinishDelivery(ctx, d.ID, s.try(ctx, d)); err != nil {
				return err
			}
		}
	}
}

// message is the document that is sent.
type message struct {
	ID        int64               `json:"id"`
	Event     dashboard.Event     `json:"event"`
	Suite     string              `json:"suite"`
	Branch    string              `json:"branch"`
	Execution dashboard.Execution `json:"execution"`
	Previous  int64               `json:"previous_execution_id,omitempty"`
	URL       string              `json:"url,omitempty"`
	SentAt    time.Time           `json:"sent_at"`
}

func (s *Sender) try(ctx context.Context, d dashboard.Delivery) dashboard.DeliveryOutcome {
	err := s.send(ctx, d)
	if err == nil {
		return dashboard.DeliveryOutcome{OK: true}
	}
	outcome := dashboard.DeliveryOutcome{Reason: err.Error()}
	if d.Tries < maxTries && !errors.Is(err, errPrivate) {
		at := s.Now().Add(firstRetry << max(0, d.Tries-1))
		outcome.RetryAt = &at
	}
	s.Log.WarnContext(ctx, "webhook was not delivered", "webhook", d.Webhook.ID, "delivery", d.ID, "try", d.Tries, "again", outcome.RetryAt != nil, "error", err)
	return outcome
}

func (s *Sender) send(ctx context.Context, d dashboard.Delivery) error {
	m := message{ID: d.ID, Event: d.Event, Suite: d.Execution.SuiteName, Branch: d.Execution.Branch, Execution: d.Execution, Previous: d.Previous, SentAt: s.Now().UTC()}
	if s.BaseURL != "" {
		m.URL = fmt.Sprintf("%s/executions/%d", s.BaseURL, d.Execution.ID)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Webhook.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address cannot be used")
	}
	stamp := strconv.FormatInt(m.SentAt.Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "qadash")
	request.Header.Set("X-Qadash-Event", string(d.Event))
	request.Header.Set("X-Qadash-Timestamp", stamp)
	request.Header.Set("X-Qadash-Signature", "sha256="+Sign(d.Webhook.Secret, stamp, body))
	response, err := s.client.Do(request)
	if err != nil {
		if errors.Is(err, errPrivate) {
			return errPrivate
		}
		return errors.New("cannot be reached") // the cause names addresses; it stays here
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %d", response.StatusCode)
	}
	return nil
}

// Sign is the signature of a body: the HMAC-SHA256 of the time stamp, a dot and
// the body, in hexadecimal. A receiver compares it in constant time and refuses
// old time stamps.
func Sign(secret, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(stamp + "."))
	_, _ = mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
