package manage

import (
	"context"
	"errors"
	"net/http"
	"time"

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
	err = a.forget(ctx, key, condition)
	if err == nil {
		a.Log.Info("session deleted", "by", r.caller.Name, "by_tenant", r.caller.Tenant, "by_admin", r.caller.Admin,
			"tenant", key.Tenant, "session", key.Session)
	}
	if err == nil || errors.Is(err, memory.ErrNotFound) { // it may have been deleted, and not forgotten, before
		if err := a.forgotten(key); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	r.web.SetStatusCode(http.StatusNoContent)
	return nil
}

// forgotten has everything else forget a session that is gone.
func (a *api) forgotten(key memory.Key) error {
	if a.Deleted == nil {
		return nil
	}
	ctx, cancel := within(storeTimeout)
	defer cancel()
	err := a.Deleted(ctx, key)
	if err == nil {
		return nil
	}
	e := serverError(http.StatusServiceUnavailable, "session_not_forgotten",
		"the session is gone, but the ledger or the cache of answers may still know of it: delete it again; that there is no such session then means that all is forgotten")
	e.RetryAfter = time.Second
	return errors.Join(e, err)
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
