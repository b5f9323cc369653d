package manage

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"time"

	"mnemo/memory/transcript"
)

// Private

// restore stores the session of a document.
func (a *api) restore(r *request) error {
	id, named := r.param("id")
	if _, err := r.tenant(); err != nil {
		return err
	}
	if _, err := r.keyOf(id); named && err != nil {
		return err
	}
	select {
	case a.imports <- struct{}{}:
		defer func() { <-a.imports }()
	default:
		e := serverError(http.StatusServiceUnavailable, "too_many_imports", "other imports are running: try again")
		e.RetryAfter = time.Second
		return e
	}
	doc, err := r.upload()
	if err != nil {
		return err
	}
	switch {
	case !named && doc.ID != "":
		id = doc.ID
	case !named:
		id = rand.Text()
	}
	key, err := r.keyOf(id)
	if err != nil {
		return err
	}
	ctx, cancel := within(importTimeout)
	defer cancel()
	if err := a.Store.Import(ctx, key, &doc.Snapshot); err != nil {
		return storeError(err)
	}
	info, at, err := a.describe(ctx, key)
	if err != nil {
		return err
	}
	r.locate(key)
	r.web.Response.Header.Set("ETag", at.tag())
	return r.answer(http.StatusCreated, detailOf(&info))
}

// upload reads the body as a session.
func (r *request) upload() (doc *transcript.Document, err error) {
	err = r.body(r.MaxBody, func(in io.Reader) (err error) {
		doc, err = transcript.Read(in, int64(r.MaxBody))
		return err
	})
	if errors.Is(err, transcript.ErrTooLarge) {
		return nil, tooLarge(r.MaxBody)
	}
	if err != nil {
		return nil, err
	}
	doc.Date(r.Now().Truncate(time.Millisecond))
	return doc, nil
}
