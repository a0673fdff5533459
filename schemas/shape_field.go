package schemas

// field is what the value behind a literal is.
type field uint8

const (
	fieldEnd     field = iota // none: the record ends
	fieldUnknown              // of an unknown member, which is kept in Props
	fieldProps                // props, whatever its members are

	// The texts: a string, or null. A class that is none is kept in Props, too.
	fieldClass
	fieldExtensionClass // deviceclass of a CloudEvent
	fieldID
	fieldSource
	fieldNetwork
	fieldUser
	fieldTime
	fieldReceived
	fieldType
	fieldCategory
	fieldAction
	fieldLabel
	fieldDevice
	fieldContentID
	fieldContentName
	fieldContentSlug
	fieldZone
	fieldAgent
	fieldURL
	fieldSpec            // specversion
	fieldExtensionDevice // device of a CloudEvent
	fieldTenant
	fieldUnused // an attribute that is not kept

	fieldExamined // of any kind, and not kept: a member of props, which is kept as a whole, or an unknown one whose name props has

	// No values: they are part of the literals.
	fieldObject // one with known members, an empty one, or null
	fieldNull   // null, which it must be
)

// fieldSpecial is the last one whose string is more than a text.
const fieldSpecial = fieldExtensionClass

// fields is the room for texts by field: a power of two, so that no index needs
// a check.
const fields = 32

// place is the object that a member is of.
type place uint8

const (
	inFlat place = iota
	inCloud
	inData
	inDevice
	inContent
	inContext
	inProps
)

// prefix is what stands before the name of an unknown member in Props.
type prefix uint8

const (
	noPrefix prefix = iota
	prefixDevice
	prefixContent
	prefixContext
)

func (p prefix) String() string {
	switch p {
	case prefixDevice:
		return "device."
	case prefixContent:
		return "content."
	case prefixContext:
		return "context."
	case noPrefix:
	}
	return ""
}

// field gives what a member is, as the mapper has it, and the place of its own
// members if it is an object.
func (in place) field(name string) (f field, inner place) {
	switch in {
	case inFlat:
		if f = envelopeField(name); f == fieldUnknown {
			return sharedField(name)
		}
		return f, in
	case inCloud:
		return cloudField(name)
	case inData:
		return sharedField(name)
	case inDevice:
		switch name {
		case "id":
			return fieldDevice, in
		case "class":
			return fieldClass, in
		}
	case inContent:
		switch name {
		case "id":
			return fieldContentID, in
		case "name":
			return fieldContentName, in
		case "slug":
			return fieldContentSlug, in
		}
	case inContext:
		switch name {
		case "zone":
			return fieldZone, in
		case "ua":
			return fieldAgent, in
		case "url":
			return fieldURL, in
		}
	case inProps:
		return fieldExamined, in
	}
	return fieldUnknown, in
}

// prefix gives what stands before the unknown members of the place.
func (in place) prefix() prefix {
	switch in {
	case inDevice:
		return prefixDevice
	case inContent:
		return prefixContent
	case inContext:
		return prefixContext
	case inFlat, inCloud, inData, inProps:
	}
	return noPrefix
}

// envelopeField is mapper.envelope.
func envelopeField(name string) field {
	switch name {
	case "id":
		return fieldID
	case "source":
		return fieldSource
	case "network":
		return fieldNetwork
	case "user":
		return fieldUser
	case "time":
		return fieldTime
	case "type":
		return fieldType
	}
	return fieldUnknown
}

// sharedField is mapper.field.
func sharedField(name string) (f field, inner place) {
	switch name {
	case "received":
		return fieldReceived, inFlat
	case "category":
		return fieldCategory, inFlat
	case "action":
		return fieldAction, inFlat
	case "label":
		return fieldLabel, inFlat
	case "device":
		return fieldObject, inDevice
	case "content":
		return fieldObject, inContent
	case "context":
		return fieldObject, inContext
	case "props":
		return fieldObject, inProps
	}
	return fieldUnknown, inFlat
}

// cloudField is mapper.attribute and mapper.extension; which of network and tenant
// counts is told from the values (cloudValues).
func cloudField(name string) (f field, inner place) {
	switch name {
	case "specversion":
		return fieldSpec, inCloud
	case "subject":
		return fieldUser, inCloud
	case "user":
		return fieldUnknown, inCloud
	case "datacontenttype", "dataschema":
		return fieldUnused, inCloud
	case "data":
		return fieldObject, inData
	case "data_base64":
		return fieldNull, inCloud
	case "tenant":
		return fieldTenant, inCloud
	case "device":
		return fieldExtensionDevice, inCloud
	case "deviceclass":
		return fieldExtensionClass, inCloud
	}
	return envelopeField(name), inCloud
}

// isText says whether the value is a string or null.
func (f field) isText() bool { return f >= fieldClass && f < fieldExamined }
