package redisstore

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
)

// Private

var (
	//go:embed list.lua
	listText string // what the scripts that list a session begin with

	//go:embed append.lua
	addText string
	//go:embed compact.lua
	compactText string
	//go:embed find.lua
	findText string
	//go:embed import.lua
	importText string
	//go:embed lease.lua
	leaseText string
	//go:embed load.lua
	loadText string
	//go:embed remove.lua
	removeText string
	//go:embed turns.lua
	turnsText string

	add     = newScript(listText + addText)
	compact = newScript(compactText)
	enlist  = newScript(listText + "list(KEYS[1], ARGV[1], true, unpack(ARGV, 2))")
	find    = newScript(findText)
	install = newScript(listText + importText)
	lease   = newScript(leaseText)
	load    = newScript(loadText)
	remove  = newScript(removeText)
	turns   = newScript(turnsText)
)

// A script runs in Redis, which knows it by its hash once it has seen it.
type script struct{ text, hash string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text: text, hash: hex.EncodeToString(sum[:])}
}
