// Oracle answers, with Kubernetes' own code, where a pod may run and whether the API server would accept it.
//
// One JSON object a line on standard input: {"pods": [Pod, ...], "nodes": [Node, ...]}; one list a line on standard
// output, with {"admits": [bool, ...], "tolerates": [bool, ...], "welcomes": [bool, ...], "scores": [int, ...],
// "requests": {name: int, ...}, "refused": "..."} for each of the pods. `admits` is nodeSelector and required node
// affinity on each of the nodes, as the scheduler reads them, `tolerates` the NoSchedule and NoExecute taints, `welcomes`
// the PreferNoSchedule ones, `scores` the weights of preferred node affinity, `requests` what the scheduler counts for
// the pod after defaulting (`cpu` in thousandths), `refused` is empty or the API server's validation error after
// defaulting. Tolerations may compare numbers: the feature gate is on.
//
// With the argument `weights` it prints one object instead: the weight that each plugin's score has in the scheduler's
// default profile.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-helpers/resource"
	corev1 "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	defaults "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

type question struct {
	Pods  []v1.Pod  `json:"pods"`
	Nodes []v1.Node `json:"nodes"`
}

type answer struct {
	Admits    []bool           `json:"admits"`
	Tolerates []bool           `json:"tolerates"`
	Welcomes  []bool           `json:"welcomes"`
	Scores    []int64          `json:"scores"`
	Requests  map[string]int64 `json:"requests"`
	Refused   string           `json:"refused"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "weights" {
		fail(json.NewEncoder(os.Stdout).Encode(weights()))
		return
	}
	fail(utilfeature.DefaultMutableFeatureGate.Set(string(features.TaintTolerationComparisonOperators) + "=true"))
	out := bufio.NewWriter(os.Stdout)
	decoder, encoder := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(out)
	for decoder.More() {
		var asked question
		fail(decoder.Decode(&asked))
		answers := make([]answer, len(asked.Pods))
		for i := range asked.Pods {
			answers[i] = judge(&asked.Pods[i], asked.Nodes)
		}
		fail(encoder.Encode(answers))
	}
	fail(out.Flush())
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func weights() map[string]int32 {
	configuration, err := latest.Default()
	fail(err)
	found := map[string]int32{}
	for _, plugin := range configuration.Profiles[0].Plugins.MultiPoint.Enabled {
		found[plugin.Name] = plugin.Weight
	}
	return found
}

func judge(pod *v1.Pod, nodes []v1.Node) answer {
	count := len(nodes)
	said := answer{Admits: make([]bool, count), Tolerates: make([]bool, count), Welcomes: make([]bool, count),
		Scores: make([]int64, count)}
	required := nodeaffinity.GetRequiredNodeAffinity(pod)
	preferred := preferences(pod)
	for i := range nodes {
		admitted, err := required.Match(&nodes[i])
		said.Admits[i] = err == nil && admitted
		said.Tolerates[i] = tolerates(pod, &nodes[i], hard)
		said.Welcomes[i] = tolerates(pod, &nodes[i], soft)
		if preferred != nil {
			said.Scores[i] = preferred.Score(&nodes[i])
		}
	}
	said.Refused = refused(pod)
	said.Requests = requests(pod)
	return said
}

// preferences is nil where there are none, or none that can be read.
func preferences(pod *v1.Pod) *nodeaffinity.PreferredSchedulingTerms {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return nil
	}
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(
		pod.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	if err != nil {
		return nil
	}
	return terms
}

func tolerates(pod *v1.Pod, node *v1.Node, counts func(*v1.Taint) bool) bool {
	_, untolerated := corev1.FindMatchingUntoleratedTaint(
		klog.Background(), node.Spec.Taints, pod.Spec.Tolerations, counts, true)
	return !untolerated
}

func soft(taint *v1.Taint) bool {
	return taint.Effect == v1.TaintEffectPreferNoSchedule
}

func hard(taint *v1.Taint) bool {
	return taint.Effect == v1.TaintEffectNoSchedule || taint.Effect == v1.TaintEffectNoExecute
}

// requests are what the scheduler's cache holds for the pod: of the resources that anything in the pod requests.
func requests(pod *v1.Pod) map[string]int64 {
	info, err := framework.NewPodInfo(pod)
	fail(err)
	counted := info.CalculateResource().Resource
	found := map[string]int64{}
	for name := range resource.PodRequests(pod, resource.PodResourcesOptions{}) {
		switch name {
		case v1.ResourceCPU:
			found[string(name)] = counted.GetMilliCPU()
		case v1.ResourceMemory:
			found[string(name)] = counted.GetMemory()
		case v1.ResourceEphemeralStorage:
			found[string(name)] = counted.GetEphemeralStorage()
		default:
			found[string(name)] = counted.GetScalarResources()[name]
		}
	}
	return found
}

func refused(pod *v1.Pod) string {
	defaults.SetObjectDefaults_Pod(pod)
	var internal core.Pod
	if err := defaults.Convert_v1_Pod_To_core_Pod(pod, &internal, nil); err != nil {
		return err.Error()
	}
	options := podutil.GetValidationOptionsFromPodSpecAndMeta(&internal.Spec, nil, &internal.ObjectMeta, nil)
	if errs := validation.ValidatePodCreate(&internal, options); len(errs) > 0 {
		return errs.ToAggregate().Error()
	}
	return ""
}
