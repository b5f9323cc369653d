package manage

import (
	"context"
	"errors"
	"net/http"

	"mnemo/memory"
)

// Private

// remove forgets a session, at once and for good.
func (a *api) remove(r *request) error {
	key, err := r.key()
	if err != nil {
		return err
	}
	ctx, cancel := within(storeTimeout)
	defer cancel()
	condition := string(r.web.Request.Header.Peek("If-Match"))
	if err := a.forget(ctx, key, condition); err != nil {
		return err
	}
	a.Log.Info("session deleted", "by", r.caller.Name, "by_tenant", r.caller.Tenant, "by_admin", r.caller.Admin,
		"tenant", key.Tenant, "session", key.Session)
	r.web.SetStatusCode(http.StatusNoContent)
	return nil
}

// forget deletes the session if it is as the condition says; "": however it is.
func (a *api) forget(ctx context.Context, key memory.Key, condition string) error {
	_, at, err := a.describe(ctx, key)
	if err != nil {
		return err
	}
	if condition == "" {
		return storeError(a.Store.Delete(ctx, key))
	}
	if !at.matches(condition) {
		return changed()
	}
	err = a.Store.DeleteAt(ctx, key, at.seq)
	if errors.Is(err, memory.ErrConflict) {
		return changed()
	}
	return storeError(err)
}

func changed() error {
	return clientError(http.StatusPreconditionFailed, "session_changed", "If-Match", "the session changed since this ETag was given")
}
