package schemas

// FillLabels fills in category, action and label where they are absent.
func FillLabels(ev *Event) { _ = ev }
