package tokens

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	_ "image/gif" // so that image.DecodeConfig reads it, as the next two
	_ "image/jpeg"
	_ "image/png"
	"io"
	"strings"
)

const (
	// headerLimit bounds how far into a picture its size is looked for, in bytes. A
	// JPEG may begin with a colour profile and a thumbnail.
	headerLimit = 512 << 10

	// A picture whose size is not known, as behind a URL, counts as one of these
	// dimensions, the wide screen.
	usualWidth, usualHeight = 1920, 1080

	mostPatches = 1536 // that a picture is reduced to

	// Rough figures, not published ones.
	audioPerSecond = 10     // tokens
	audioByteRate  = 4_000  // of compressed speech, a low one; of WAV it is read
	pageBytes      = 50_000 // of a document; one that is not in the message has one page
	pageTokens     = 1_600  // its text and its picture
)

// An imageRule says what a model takes for a picture, after OpenAI's guide to
// vision: either base tokens and tile tokens for each square of 512 pixels after
// the picture was scaled down to fit 2048 × 2048 and to a shorter side of 768, or
// patch hundredths of a token for each square of 32 pixels.
type imageRule struct{ base, tile, patch int }

// count returns the tokens of the picture at url, which may hold it, in a detail
// of "low", "high", "auto" or "". The last three are counted as high.
func (r imageRule) count(url, detail string) int {
	width, height := dimensions(url)
	if width <= 0 || height <= 0 {
		width, height = usualWidth, usualHeight
	}
	return r.tokens(width, height, detail)
}

func (r imageRule) tokens(width, height int, detail string) int {
	if r.patch > 0 {
		patches := min(parts(width, 32)*parts(height, 32), mostPatches)
		return parts(patches*r.patch, 100)
	}
	if detail == "low" {
		return r.base
	}
	if long := max(width, height); long > 2048 {
		width, height = max(width*2048/long, 1), max(height*2048/long, 1)
	}
	if short := min(width, height); short > 768 {
		width, height = width*768/short, height*768/short
	}
	return r.base + r.tile*parts(width, 512)*parts(height, 512)
}

func parts(length, of int) int { return (length + of - 1) / of }

// dimensions reads the size, in pixels, of a picture that a data URL holds; 0, 0
// where it cannot.
func dimensions(url string) (width, height int) {
	data, ok := payload(url)
	if !ok {
		return 0, 0
	}
	picture := bufio.NewReader(io.LimitReader(decoder(data), headerLimit))
	if head, err := picture.Peek(30); err == nil && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP" {
		return dimensionsWebP(head[12:])
	}
	size, _, err := image.DecodeConfig(picture)
	if err != nil {
		return 0, 0
	}
	return size.Width, size.Height
}

// dimensionsWebP reads the first chunk of a WebP, which is one of three kinds.
func dimensionsWebP(chunk []byte) (width, height int) {
	switch kind, body := string(chunk[:4]), chunk[8:]; {
	case kind == "VP8 " && bytes.Equal(body[3:6], []byte{0x9d, 0x01, 0x2a}):
		return int(binary.LittleEndian.Uint16(body[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(body[8:]) & 0x3fff)
	case kind == "VP8L" && body[0] == 0x2f:
		sizes := binary.LittleEndian.Uint32(body[1:])
		return int(sizes&0x3fff) + 1, int(sizes>>14&0x3fff) + 1
	case kind == "VP8X":
		sizes := binary.LittleEndian.Uint64(body[2:]) >> 16
		return int(sizes&0xffffff) + 1, int(sizes>>24&0xffffff) + 1
	}
	return 0, 0
}

// countAudio estimates the tokens of a recording, in base64, from its length.
func countAudio(data string) int {
	rate := audioByteRate
	var head [32]byte
	if _, err := io.ReadFull(decoder(data), head[:]); err == nil && string(head[:4]) == "RIFF" {
		if r := int(binary.LittleEndian.Uint32(head[28:])); r > 0 {
			rate = r
		}
	}
	return parts(audioPerSecond*base64.StdEncoding.DecodedLen(len(data)), rate)
}

// countFile estimates the tokens of a document, in base64 or as a data URL, from
// its size.
func countFile(data string) int {
	if inner, ok := payload(data); ok {
		data = inner
	}
	return pageTokens * max(parts(base64.StdEncoding.DecodedLen(len(data)), pageBytes), 1)
}

// payload returns what a data URL holds, in base64.
func payload(url string) (data string, ok bool) {
	if !strings.HasPrefix(url, "data:") {
		return "", false
	}
	_, data, ok = strings.Cut(url, ";base64,")
	return data, ok
}

func decoder(data string) io.Reader {
	return base64.NewDecoder(base64.StdEncoding, strings.NewReader(data))
}
