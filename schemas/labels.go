package schemas

import "bytes"

// Filled says which cells of an event FillLabels wrote.
type Filled uint8

// The cells.
const (
	FilledCategory Filled = 1 << iota
	FilledAction
	FilledLabel
)

// FillLabels writes category, action and label where the event brings none
// (nil; an empty one is a blank cell and stays). Known types have templates in
// activity_types.tsv; of any other type <…>.object.verb the category is the
// object, the action the verb and the label the name of the content (SPEC.md
// section 2, decisions for the registry). The cells are stored with the event: a
// later change of the registry rewrites nothing.
//
// What it writes aliases the event or constants. It allocates only for a cell of
// several parts, and for a property with escapes.
func FillLabels(ev *Event) {
	if ev.Category == nil || ev.Action == nil || ev.Label == nil {
		fillLabels(ev, activities()[string(ev.Type)])
	}
}

// FillLabels is the function of that name; the decoder knows the types that it
// has met.
func (d *Decoder) FillLabels(ev *Event) {
	if ev.Category == nil || ev.Action == nil || ev.Label == nil {
		fillLabels(ev, d.memo.typeOf(ev.Type).activities)
	}
}

// fillLabels fills in the cells by the rows of the event's type.
func fillLabels(ev *Event, rows []activity) {
	var row *activity
	for i := range rows {
		if rows[i].fits(ev) {
			row = &rows[i]
			break
		}
	}
	if row == nil {
		fillByName(ev)
		return
	}
	ev.fill(&ev.Category, FilledCategory, row.category.render(ev))
	ev.fill(&ev.Action, FilledAction, row.action.render(ev))
	ev.fill(&ev.Label, FilledLabel, row.label.render(ev))
}

// fill writes one cell if it is absent and there is something to write.
func (ev *Event) fill(cell *[]byte, bit Filled, text []byte) {
	if *cell == nil && text != nil {
		*cell = text
		ev.Filled |= bit
	}
}

// fillByName serves the types that the registry does not know.
func fillByName(ev *Event) {
	object, verb := ev.Type, []byte(nil)
	if dot := bytes.LastIndexByte(object, '.'); dot >= 0 {
		object, verb = object[:dot], object[dot+1:]
		object = object[bytes.LastIndexByte(object, '.')+1:]
	}
	ev.fill(&ev.Category, FilledCategory, object)
	ev.fill(&ev.Action, FilledAction, verb)
	ev.fill(&ev.Label, FilledLabel, ev.ContentName)
}

func (a *activity) fits(ev *Event) bool {
	if a.when == "" {
		return true
	}
	value := property(ev.Props, a.when)
	return value != nil && (a.equal == "" || string(value) == a.equal)
}

// render gives the text of a cell, or nil if its only part is absent.
func (c cell) render(ev *Event) []byte {
	if len(c) == 1 {
		return c[0].value(ev)
	}
	var text []byte
	for i := range c {
		text = append(text, c[i].value(ev)...)
	}
	return text
}

// value gives the text of one part: a constant, or the first field present.
func (p *part) value(ev *Event) []byte {
	if p.text != nil {
		return p.text
	}
	for i := range p.fields {
		var value []byte
		if f := &p.fields[i]; f.text != nil {
			value = f.text(ev)
		} else {
			value = property(ev.Props, f.property)
		}
		if value != nil {
			return value
		}
	}
	return nil
}
