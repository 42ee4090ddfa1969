// promql says what Prometheus itself makes of expressions and rules: one JSON question per line, one answer per line.
//
//	{"rules": TEXT}                              a rule file: {"errors": [...]}
//	{"expression": TEXT}                         {"errors": [...], "reads": [{"metric": ..., "labels": [...]}]}
//	{"series": TEXT, "rules": TEXT, "at": N}     what promqltest takes as series, one sample a minute:
//	                                             {"errors": [...], "firing": [{"alert": ..., "summary": ...}]}
//	                                             of what fires after N minutes
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sort"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

type question struct {
	Rules      string
	Expression string
	Series     string
	At         int
}

type read struct {
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

type firing struct {
	Alert   string `json:"alert"`
	Summary string `json:"summary"`
}

type answer struct {
	Errors []string `json:"errors"`
	Reads  []read   `json:"reads,omitempty"`
	Firing []firing `json:"firing"`
}

var (
	syntax = parser.NewParser(parser.Options{})
	quiet  = slog.New(slog.DiscardHandler)
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		said := asked.answer()
		if said.Errors == nil {
			said.Errors = []string{}
		}
		text, err := json.Marshal(said)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}

func (q question) answer() answer {
	switch {
	case q.Expression != "":
		expression, err := syntax.ParseExpr(q.Expression)
		if err != nil {
			return answer{Errors: []string{err.Error()}}
		}
		return answer{Reads: reads(expression)}
	case q.Series != "":
		return q.fire()
	}
	_, failures := rulefmt.Parse([]byte(q.Rules), false, model.UTF8Validation, syntax, quiet)
	return answer{Errors: texts(failures)}
}

// reads tells each metric of an expression with the labels that are asked for beside it: those of its own selector,
// and of each aggregation and matching above it.
func reads(expression parser.Expr) []read {
	var found []read
	var walk func(node parser.Node, above []string)
	walk = func(node parser.Node, above []string) {
		switch n := node.(type) {
		case *parser.AggregateExpr:
			if !n.Without {
				above = append(append([]string{}, above...), n.Grouping...)
			}
		case *parser.VectorSelector:
			one := read{Metric: n.Name, Labels: append([]string{}, above...)}
			for _, matcher := range n.LabelMatchers {
				if matcher.Name != labels.MetricName {
					one.Labels = append(one.Labels, matcher.Name)
				}
			}
			sort.Strings(one.Labels)
			found = append(found, one)
		}
		for child := range parser.ChildrenIter(node) {
			walk(child, above)
		}
	}
	walk(expression, nil)
	return found
}

// fire runs the rules once a minute over the series, and tells which alerts fire at the end.
func (q question) fire() answer {
	groups, failures := rulefmt.Parse([]byte(q.Rules), false, model.UTF8Validation, syntax, quiet)
	if len(failures) > 0 {
		return answer{Errors: texts(failures)}
	}
	said := answer{Firing: []firing{}}
	storage := promqltest.LoadedStorage(fatal{}, q.Series)
	defer os.RemoveAll(storage.Dir())
	defer storage.Close()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: syntax})
	query := rules.EngineQueryFunc(engine, storage)
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			expression, err := syntax.ParseExpr(rule.Expr)
			if err != nil {
				return answer{Errors: []string{err.Error()}}
			}
			alert := rules.NewAlertingRule(rule.Alert, expression, time.Duration(rule.For), time.Duration(rule.KeepFiringFor),
				labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, quiet)
			for minute := 0; minute <= q.At; minute++ {
				now := time.Unix(int64(minute)*60, 0)
				if _, err := alert.Eval(context.Background(), 0, now, query, nil, 0); err != nil {
					return answer{Errors: []string{err.Error()}}
				}
			}
			alert.ForEachActiveAlert(func(one *rules.Alert) {
				if one.State == rules.StateFiring {
					said.Firing = append(said.Firing, firing{rule.Alert, one.Annotations.Get("summary")})
				}
			})
		}
	}
	return said
}

func texts(failures []error) []string {
	var all []string
	for _, one := range failures {
		all = append(all, one.Error())
	}
	return all
}

// fatal ends the program where promqltest would end a test.
type fatal struct{ testing.TB }

func (fatal) Helper()                           {}
func (fatal) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (fatal) FailNow()                          { panic("failed") }
func (fatal) Logf(string, ...any)               {}
func (fatal) Cleanup(func())                    {}
func (fatal) Name() string                      { return "promql" }
func (fatal) TempDir() string {
	folder, err := os.MkdirTemp("", "promql-")
	if err != nil {
		panic(err)
	}
	return folder
}
