// podtypes prints Kubernetes' own Pod type, and what it leads to, as the API server's JSON encoder sees them: a line is a
// type and its fields. `*` is a pointer, `[]` a list, `{}` a map; a field with `?` is left out where it is empty, one with
// `!` where it is zero, all others are always there. tools/pod_types.py makes engine/pods/pod_types.py of it.
package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var special = map[reflect.Type]string{
	reflect.TypeOf(resource.Quantity{}):  "quantity",
	reflect.TypeOf(metav1.Time{}):        "time",
	reflect.TypeOf(metav1.MicroTime{}):   "time",
	reflect.TypeOf(metav1.FieldsV1{}):    "any",
	reflect.TypeOf(intstr.IntOrString{}): "intOrString",
}

func main() {
	known := map[string]string{}
	describe(reflect.TypeOf(v1.Pod{}), known)
	names := []string{}
	for name := range known {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("%s: %s\n", name, known[name])
	}
}

func describe(struct_ reflect.Type, known map[string]string) {
	if _, done := known[struct_.Name()]; done {
		return
	}
	known[struct_.Name()] = ""
	known[struct_.Name()] = strings.Join(fields(struct_, known), ", ")
}

func fields(struct_ reflect.Type, known map[string]string) []string {
	found := []string{}
	for i := range struct_.NumField() {
		field := struct_.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && field.Anonymous {
			found = append(found, fields(field.Type, known)...)
			continue
		}
		mark := ""
		for _, option := range strings.Split(options, ",") {
			switch option {
			case "omitempty":
				mark += "?"
			case "omitzero":
				mark += "!"
			}
		}
		found = append(found, name+mark+" "+words(field.Type, known))
	}
	return found
}

func words(type_ reflect.Type, known map[string]string) string {
	if word, ok := special[type_]; ok {
		return word
	}
	switch type_.Kind() {
	case reflect.Pointer:
		return "*" + words(type_.Elem(), known)
	case reflect.Slice:
		return "[]" + words(type_.Elem(), known)
	case reflect.Map:
		return "{}" + words(type_.Elem(), known)
	case reflect.Struct:
		describe(type_, known)
		return type_.Name()
	default:
		return type_.Kind().String()
	}
}
