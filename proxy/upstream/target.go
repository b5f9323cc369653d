package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const chatTarget = "/chat/completions"

// Private

// An address makes the URLs of an upstream from its base. What follows the base
// is written to the request line byte for byte, so it never goes through the
// path's parser; it stands in url.URL.Opaque.
type address struct {
	scheme, host string
	path         string // of the base, without a trailing slash
	proxy        *url.URL
	absolute     bool // the request line holds the whole URL: plain HTTP through a proxy
	chat         *url.URL
}

func newAddress(base string, proxy func(*http.Request) (*url.URL, error)) (*address, error) {
	u, err := url.Parse(base)
	var detail *url.Error
	switch {
	case errors.As(err, &detail):
		return nil, fmt.Errorf("the URL cannot be read: %w", detail.Err) // without the URL: it may hold a password
	case err != nil:
		return nil, fmt.Errorf("the URL cannot be read: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, errors.New("the URL must begin with http:// or https:// and a host")
	case u.User != nil:
		return nil, errors.New("the URL must not hold a user; use a key or a header")
	case u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("the URL must not hold a query or a fragment")
	}
	a := &address{scheme: u.Scheme, host: u.Host, path: strings.TrimRight(u.EscapedPath(), "/")}
	a.proxy, err = proxy(&http.Request{URL: u})
	if err != nil {
		return nil, errors.New("its proxy cannot be told") // without the URL: it may hold a password
	}
	a.absolute = a.proxy != nil && u.Scheme == "http" && strings.HasPrefix(a.proxy.Scheme, "http")
	a.chat = a.join(chatTarget)
	return a, nil
}

// of returns the URL of a target that checkTarget let pass.
func (a *address) of(target string) *url.URL {
	if target == chatTarget {
		return a.chat
	}
	return a.join(target)
}

func (a *address) join(target string) *url.URL {
	path := a.path + target
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	// A path that begins with // would be read as a host there, so the real one
	// is put in front.
	if a.absolute || strings.HasPrefix(path, "//") {
		path = "//" + a.host + path
	}
	return &url.URL{Scheme: a.scheme, Host: a.host, Opaque: path}
}

// checkTarget returns an error unless the target can follow a base without
// changing the host or the request line.
func checkTarget(target string) error {
	if target == chatTarget {
		return nil
	}
	if target != "" && target[0] != '/' && target[0] != '?' {
		return errors.New("the path must begin with a slash")
	}
	for i := range len(target) {
		if target[i] <= ' ' || target[i] == 0x7f {
			return errors.New("the path holds a space or a control character")
		}
	}
	return nil
}
