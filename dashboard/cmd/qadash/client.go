package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// client talks to the REST interface of a server.
type client struct {
	url, token string
	tries      int // of a request that finds no server; default 1
}

// call sends a JSON body, nil for none, and decodes the answer into out, unless
// that is nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var err error
	for try := range max(c.tries, 1) {
		if try > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(try) * time.Second):
			}
		}
		var again bool
		if again, err = c.once(ctx, method, path, in, out); !again {
			return err
		}
	}
	return err
}

func (c *client) once(ctx context.Context, method, path string, in, out any) (again bool, err error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return false, err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+"/api/v1"+path, body)
	if err != nil {
		return false, &usageError{fmt.Sprintf("--url %q is not an address", c.url)}
	}
	c.sign(request)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ctx.Err() == nil, fmt.Errorf("%s cannot be reached: %w", c.url, cause(err))
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 32<<20))
	if err != nil {
		return false, err
	}
	if response.StatusCode/100 != 2 {
		return response.StatusCode == http.StatusServiceUnavailable, refusal(response, data)
	}
	if out == nil {
		return false, nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return false, fmt.Errorf("the answer is not that of a qadash server: %w", err)
	}
	return false, nil
}

func (c *client) sign(request *http.Request) {
	request.Header.Set("User-Agent", "qadash/"+buildVersion())
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
}

// refusal is what the server said against a request.
func refusal(response *http.Response, body []byte) error {
	var problem struct{ Detail string }
	if json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
		return fmt.Errorf("the server answered %s", response.Status)
	}
	hint := ""
	if response.StatusCode == http.StatusUnauthorized && response.Request.Header.Get("Authorization") == "" {
		hint = "; QADASH_TOKEN names it"
	}
	return fmt.Errorf("refused (%d): %s%s", response.StatusCode, problem.Detail, hint)
}

// suite returns the id of a suite by its name, and makes it if it is missing.
func (c *client) suite(ctx context.Context, name, framework string) (int64, error) {
	for skip := 0; ; skip += dashboard.MaxLimit {
		var found []dashboard.Suite
		if err := c.call(ctx, http.MethodGet, fmt.Sprintf("/suites?limit=%d&skip=%d&q=%s", dashboard.MaxLimit, skip, url.QueryEscape(name)), nil, &found); err != nil {
			return 0, err
		}
		for _, s := range found {
			if s.Name == name {
				return s.ID, nil
			}
		}
		if len(found) < dashboard.MaxLimit {
			break
		}
	}
	var made dashboard.Suite
	err := c.call(ctx, http.MethodPost, "/suites", dashboard.NewSuite{Name: name, FrameworkType: framework}, &made)
	return made.ID, err
}
