package redisstore

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
)

// Private

var (
	//go:embed load.lua
	loadText string
	//go:embed append.lua
	addText string
	//go:embed turns.lua
	turnsText string

	load  = newScript(loadText)
	add   = newScript(addText)
	turns = newScript(turnsText)
)

// A script runs in Redis, which knows it by its hash once it has seen it.
type script struct{ text, hash string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text: text, hash: hex.EncodeToString(sum[:])}
}
