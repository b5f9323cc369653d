package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// A RedisURL says where a Redis is: redis://[user:password@]host[:port][/db],
// rediss://… for TLS or redis://a,b,c?cluster=true. The zero value is none, and ""
// as text. It may hold a password, which it shows only to Reveal.
type RedisURL struct{ masked }

// UnmarshalText reads a URL. Its errors never quote it.
func (u *RedisURL) UnmarshalText(text []byte) error {
	scheme, rest, _ := strings.Cut(string(text), ":")
	switch {
	case len(text) == 0:
	case scheme != "redis" && scheme != "rediss":
		return errors.New("must begin with redis:// or rediss://")
	default:
		if err := checkRedis(rest); err != nil {
			return err
		}
	}
	u.masked = masked{string(text), withoutSecrets(string(text))}
	return nil
}

// A ProxyURL says through which proxy an upstream is called: http://, https:// or
// socks5://[user:password@]host[:port], or ProxyDirect. The zero value, "" as text,
// is what the environment says (HTTPS_PROXY, HTTP_PROXY, NO_PROXY). It shows its
// password only to Reveal.
type ProxyURL struct{ masked }

// UnmarshalText reads a URL. Its errors never quote it.
func (u *ProxyURL) UnmarshalText(text []byte) error {
	if len(text) > 0 && string(text) != ProxyDirect {
		parsed, err := url.Parse(string(text))
		if err != nil || !slices.Contains([]string{"http", "https", "socks5"}, parsed.Scheme) || parsed.Hostname() == "" ||
			strings.Trim(parsed.Path, "/") != "" || strings.ContainsAny(string(text), "?#") {
			return errors.New("must be direct or look like http://, https:// or socks5://[user:password@]host[:port]; " +
				"characters such as / ? # @ in a password are written as %2F %3F %23 %40")
		}
	}
	u.masked = masked{string(text), withoutSecrets(string(text))}
	return nil
}

// A WebhookURL says where alerts are sent. The zero value is nowhere, and "" as
// text. Whoever knows such a URL can often write to it, so all but its host is shown
// only to Reveal.
type WebhookURL struct{ masked }

// UnmarshalText reads a URL. Its errors never quote it.
func (u *WebhookURL) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*u = WebhookURL{}
		return nil
	}
	parsed, err := url.Parse(string(text))
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
		return errors.New("must be an absolute http or https URL, such as https://example.com/hook")
	}
	u.masked = masked{string(text), parsed.Scheme + "://" + parsed.Host + "/" + hidden}
	return nil
}
