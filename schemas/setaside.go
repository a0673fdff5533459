package schemas

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// SetAside says that the record at an offset is not to be handled: handling it
// panicked again and again (TRUST.md section 2). It travels as a control record
// of the partition's own log, so that whoever reads the log takes the record
// for the same reject; and in the catalogue, so that an owner knows it before
// it reads the record.
type SetAside struct {
	Epoch     uint16 `json:"epoch"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Reason    string `json:"reason"` // what the program said, without the record's own text
}

// maxSetAsideReason bounds the reason: it is kept with the reject.
const maxSetAsideReason = 1024

// setAsideRecord is the value of the control record; its one member tells it
// from a network's setting.
type setAsideRecord struct {
	SetAside *SetAside `json:"set_aside"`
}

// setAsidePrefix begins every encoding of a SetAside, and of nothing else.
const setAsidePrefix = `{"set_aside":`

var errSetAside = errors.New("not a record that sets another aside")

// EncodeSetAside gives the one encoding of a; the signature covers these bytes.
func EncodeSetAside(a SetAside) ([]byte, error) {
	if err := a.validate(); err != nil {
		return nil, err
	}
	value, err := json.Marshal(setAsideRecord{&a}, jsontext.AllowInvalidUTF8(false))
	if err != nil {
		return nil, fmt.Errorf("encode what is set aside: %w", err)
	}
	return value, nil
}

// IsSetAside says whether the value of a control record sets a record aside;
// else it is the setting of a network.
func IsSetAside(value []byte) bool { return bytes.HasPrefix(value, []byte(setAsidePrefix)) }

// DecodeSetAside reads what EncodeSetAside wrote, as strictly as DecodeControl.
// It does not look at the signature.
func DecodeSetAside(value []byte) (SetAside, error) {
	var r setAsideRecord
	if err := json.Unmarshal(value, &r, json.RejectUnknownMembers(true)); err != nil {
		return SetAside{}, fmt.Errorf("decode what is set aside: %w", err)
	}
	if r.SetAside == nil {
		return SetAside{}, fmt.Errorf("decode what is set aside: %w", errSetAside)
	}
	if err := r.SetAside.validate(); err != nil {
		return SetAside{}, err
	}
	return *r.SetAside, nil
}

func (a *SetAside) validate() error {
	if a.Partition < 0 || a.Offset < 0 || len(a.Reason) > maxSetAsideReason {
		return fmt.Errorf("check what is set aside: partition %d, offset %d, %d bytes of reason: %w", a.Partition, a.Offset, len(a.Reason), errSetAside)
	}
	return nil
}
