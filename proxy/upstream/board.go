package upstream

import (
	"fmt"
	"sync"
	"time"
)

// A Board tells the replicas of a program what one of them found out about an
// upstream by its own calls. Its methods return at once; they wait neither for
// other replicas nor for those who listen here.
//
// An upstream is the same one where its name and its base URL are; what stands
// for it on the board is short and holds no secret. Models are as calls name them.
type Board interface {
	// Opened tells others that calls of the model at the upstream are to be left
	// alone for d.
	Opened(upstream, model string, d time.Duration)
	// Closed tells them that it is well again.
	Closed(upstream, model string)
	// Listen calls f for what others tell, and have told that still holds, until
	// the returned function is called; d is 0 for closed. f returns at once.
	Listen(f func(upstream, model string, d time.Duration)) (stop func())
}

// Private

// boardName is what an upstream is called on a board. One that has moved to
// another URL is another one there: replicas do not change their settings at the
// same moment.
func boardName(s *settings) string { return fmt.Sprintf("%s@%016x", s.Name, hash(s.URL)) }

// listen makes the pool hear what is on its board until it is closed or replaced.
func (p *Pool) listen() {
	p.deafen = func() {}
	if p.board != nil {
		p.deafen = sync.OnceFunc(p.board.Listen(p.hear))
	}
}

func (p *Pool) hear(upstream, model string, d time.Duration) {
	for _, u := range p.upstreams {
		if u.circuits.boardName == upstream {
			u.circuits.hear(model, d)
		}
	}
}
