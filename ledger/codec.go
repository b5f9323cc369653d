package ledger

import (
	"encoding/json"
	"fmt"
	"time"
)

// EncodeEntry is the stored form of an entry, JSON: all but what a store keeps beside
// it, its UID, ID, Time, Tenant and Session.
func EncodeEntry(e *Entry) ([]byte, error) {
	kept := *e
	kept.ID, kept.Time, kept.Tenant, kept.Session = "", time.Time{}, "", ""
	text, err := json.Marshal(&kept)
	if err != nil {
		return nil, fmt.Errorf("encode entry %s: %w", e.UID, err)
	}
	return text, nil
}

// DecodeEntry reads the stored form into an entry that has the rest.
func DecodeEntry(text []byte, e *Entry) error {
	if err := json.Unmarshal(text, e); err != nil {
		return fmt.Errorf("decode entry %s: %w", e.UID, err)
	}
	return nil
}
