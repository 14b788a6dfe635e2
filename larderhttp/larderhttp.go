// Package larderhttp carries read-your-writes tokens between requests, in a
// header for programs and in a cookie for browsers: whoever changed something
// sees the change in the next request, whichever process answers it.
//
//	token, err := cache.InvalidateToken(ctx, suites.Key(42)) // in the handler of a change
//	larderhttp.Set(w, r, token)
//	...
//	s, err := suites.Get(ctx, id, load, larderhttp.After(r)) // in the handler of a read
package larderhttp

import (
	"net/http"
	"time"

	"github.com/larder-go/larder"
)

const (
	// Header is the name of the header, in responses and in requests.
	Header = "Larder-Token"
	// Cookie is the name of the cookie.
	Cookie = "larder_token"
	// MaxAge is how long a browser keeps the cookie. Longer than any
	// [larder.Options.MaxStaleness] in use suffices.
	MaxAge = time.Minute
)

// Set writes token to the response, before its body. The cookie is HttpOnly,
// SameSite=Lax, and Secure if the request came by TLS. The zero Token writes
// nothing.
func Set(w http.ResponseWriter, r *http.Request, token larder.Token) {
	text := token.String()
	if text == "" {
		return
	}
	w.Header().Set(Header, text)
	http.SetCookie(w, &http.Cookie{
		Name: Cookie, Value: text, Path: "/", MaxAge: int(MaxAge / time.Second),
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// From returns the token of a request, the header before the cookie. What is
// no token demands nothing.
func From(r *http.Request) larder.Token {
	if token, err := larder.ParseToken(r.Header.Get(Header)); err == nil && token.String() != "" {
		return token
	}
	cookie, err := r.Cookie(Cookie)
	if err != nil {
		return larder.Token{}
	}
	token, err := larder.ParseToken(cookie.Value)
	if err != nil {
		return larder.Token{}
	}
	return token
}

// After returns the read option that makes a read see what the request's token
// stands for. Without a token it changes nothing.
func After(r *http.Request) larder.ReadOption { return larder.After(From(r)) }
