package proxy

import (
	"context"
	"net/http"

	"mnemo/memory"
	"mnemo/proxy/upstream"
)

// Summaries makes summaries of sessions.
type Summaries interface {
	// Ask has a summary made in the background. It never waits and reports whether
	// the job was taken.
	Ask(job FoldJob) bool
	// Fold makes a summary and returns when it is stored, or when there is reason
	// to go on without.
	Fold(ctx context.Context, job FoldJob) error
	// Rebuild makes the summary that there is anew from the log.
	Rebuild(ctx context.Context, job FoldJob) error
}

// A FoldJob asks for a summary.
type FoldJob struct {
	Key     memory.Key
	Model   string          // of the call
	Target  memory.Position // where the summary should end
	Counter *memory.Counter
	Pool    *upstream.Pool // of the call
	// Header carries the credentials with which the upstream is called. They live
	// as long as the job, in memory only.
	Header http.Header
}

// Private

// credentials are the header fields by which an upstream knows who calls and who
// pays.
var credentials = []string{"Authorization", "Api-Key", "Openai-Organization", "Openai-Project"}

func (s *Server) foldJob(set *settings, key memory.Key, model string, header http.Header) FoldJob {
	job := FoldJob{Key: key, Model: model, Counter: s.Counter(model), Pool: set.Pool, Header: make(http.Header, 1)}
	for _, name := range credentials {
		if values, ok := header[name]; ok {
			job.Header[name] = values
		}
	}
	return job
}
