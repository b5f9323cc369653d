package manage

// A Persona is a named system prompt of the configuration.
type Persona struct {
	Name      string   `json:"name"`
	Prompt    string   `json:"prompt"`    // variables stand in braces
	Variables []string `json:"variables"` // each must be given a value
	Greeting  *string  `json:"greeting"`  // what it says first in a new session; nil: nothing
}

// A PersonaList is all personas.
type PersonaList struct {
	Personas []Persona `json:"personas"`
}
