package replay

import "daybook/schemas"

// decode asks the worker's decoder. The event aliases the decoder's arena: it
// is valid until the next call.
func (m *mapper) decode(value []byte, e *schemas.Event) schemas.Reject {
	m.decoder.Reset()
	return m.decoder.Decode(value, e)
}
