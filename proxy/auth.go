package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"

	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
)

// Ways of knowing who calls.
const (
	// AuthPassthrough sends the client's own key upstream; its hash is the tenant.
	AuthPassthrough AuthMode = "passthrough"
	// AuthKeys knows clients by keys of mnemo's own.
	AuthKeys AuthMode = "keys"
	// AuthNone takes everybody for one tenant.
	AuthNone AuthMode = "none"
)

// theTenant is everybody's under AuthNone.
const theTenant = "default"

var errCrossOrigin = &apierror.Error{Status: http.StatusForbidden, Type: apierror.TypeInvalidRequest, Code: "cross_origin",
	Message: "pages of other sites may not use this server"}

// An AuthMode says how mnemo knows its callers.
type AuthMode string

// Auth says who may call. The zero value is AuthPassthrough.
type Auth struct {
	Mode AuthMode
	Keys []ClientKey // for AuthKeys
	// Local says that only this machine can reach the server. Under AuthNone it
	// then answers to names of this machine only.
	Local bool
}

// A ClientKey is one client of mnemo's own.
type ClientKey struct {
	Name   string
	Tenant string
	Hash   [sha256.Size]byte // of the key; mnemo never keeps the key
	Models []string          // patterns of the models it may use; empty: all
	Admin  bool              // sees the sessions of all tenants
}

// A caller is who a request comes from.
type caller struct {
	tenant string // "" if the request carries no credential
	name   string // of the key, if it is one of mnemo's own
	admin  bool
	models []string
}

// authenticator resolves credentials.
type authenticator struct {
	mode  AuthMode
	local bool
	keys  map[[sha256.Size]byte]ClientKey
}

func newAuthenticator(a Auth) *authenticator {
	out := &authenticator{mode: a.Mode, local: a.Local, keys: make(map[[sha256.Size]byte]ClientKey, len(a.Keys))}
	if out.mode == "" {
		out.mode = AuthPassthrough
	}
	for _, key := range a.Keys {
		out.keys[key.Hash] = key
	}
	return out
}

// caller says who sent the header. Under AuthKeys the credential is taken out of
// it: a key of mnemo's own never goes upstream.
func (a *authenticator) caller(h http.Header) (caller, error) {
	if a.mode == AuthNone {
		return caller{tenant: theTenant}, nil
	}
	secret := credential(h)
	sum := sha256.Sum256([]byte(secret))
	if a.mode == AuthPassthrough {
		if secret == "" {
			return caller{}, nil
		}
		return caller{tenant: hex.EncodeToString(sum[:16])}, nil
	}
	// Looking up a hash tells nothing of the key by its timing.
	key, known := a.keys[sum]
	if !known || secret == "" {
		return caller{}, &apierror.Error{Status: http.StatusUnauthorized, Type: apierror.TypeAuthentication, Code: "invalid_api_key",
			Message: "this is no key of mnemo's: send one of auth.keys as Authorization: Bearer"}
	}
	h.Del("Authorization")
	h.Del("Api-Key")
	return caller{tenant: key.Tenant, name: key.Name, admin: key.Admin, models: key.Models}, nil
}

// checkPage refuses what a page of another site asks for through the browser of
// somebody who needs no credential: a request that says so itself, and, on a server
// of this machine alone, one to a name that was made to lead here (DNS rebinding).
func (a *authenticator) checkPage(h *fasthttp.RequestHeader) error {
	if a.mode == AuthNone && (string(h.Peek("Sec-Fetch-Site")) == "cross-site" || a.local && !localHost(string(h.Host()))) {
		return errCrossOrigin
	}
	return nil
}

// mayUse returns an error unless the caller may use the model. A key with a list
// makes no calls whose model is not known, but may always list the models.
func (c *caller) mayUse(model string) error {
	if len(c.models) == 0 {
		return nil
	}
	for _, pattern := range c.models {
		if model != "" && upstream.Matches(pattern, model) {
			return nil
		}
	}
	return &apierror.Error{Status: http.StatusForbidden, Type: apierror.TypeInvalidRequest, Code: "model_not_allowed", Param: "model",
		Message: "this key may not use the model; its list is auth.keys[].models"}
}

// Private

// localHost reports whether a Host field names this machine; an absent one may.
func localHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	ip, err := netip.ParseAddr(host)
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// credential is the client's key: the bearer token, else Azure's api-key.
func credential(h http.Header) string {
	if value := h.Get("Authorization"); value != "" {
		scheme, token, _ := strings.Cut(value, " ")
		if strings.EqualFold(scheme, "bearer") {
			return strings.TrimSpace(token)
		}
		return value
	}
	return h.Get("Api-Key")
}
