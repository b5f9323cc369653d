package proxy

import (
	"context"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
)

// readyTimeout bounds how long the store is asked whether it is there.
const readyTimeout = 2 * time.Second

// Outdated has /readyz say that the settings in force have not been those of the
// configuration since then, because that has mistakes. The zero time takes it back.
func (s *Server) Outdated(since time.Time) {
	if since.IsZero() {
		s.outdated.Store(nil)
		return
	}
	s.outdated.Store(&since)
}

// Private

func (s *Server) serveHealth(c *fiber.Ctx) error {
	c.Response().Header.SetContentType("application/json")
	return c.SendString(`{"status":"ok"}`)
}

// serveReady says whether the process can do its work: the store answers and an
// upstream is usable. A configuration that could not be put in force is told of, and
// no reason to send nobody here.
func (s *Server) serveReady(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	store, up, configuration := "ok", "ok", "ok"
	if err := s.Store.Ping(ctx); err != nil {
		s.Log.Warn("store is not ready", "error", err)
		store = "unreachable"
	}
	if !s.now().Pool.Usable() {
		up = "none usable"
	}
	if since := s.outdated.Load(); since != nil {
		configuration = "an older one is in force: since " + since.UTC().Format(time.RFC3339) + " it cannot be loaded, and the log says why"
	}
	c.Response().Header.SetContentType("application/json")
	if store != "ok" || up != "ok" {
		c.Status(http.StatusServiceUnavailable)
	}
	return c.JSON(fiber.Map{"store": store, "upstreams": up, "configuration": configuration})
}
