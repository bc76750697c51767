package main

import (
	"context"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

const (
	workers  = 10
	burst    = 500
	resync   = 12 * time.Hour
	discover = time.Minute
)

// controllers runs, until it is told to end, the controllers that make Pods of Deployments, give
// namespaces their service account, empty those that are deleted, and take away what has no owner.
// The others of kube-controller-manager are left out: they would double what has to be built.
func controllers(kubeconfig string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = -1, burst
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	shared := informers.NewSharedInformerFactory(client, resync)
	runs, err := forWorkloads(ctx, shared, client, objects)
	if err != nil {
		return err
	}
	started := make(chan struct{})
	collect, err := collector(ctx, shared, client, objects, config, started)
	if err != nil {
		return err
	}
	shared.Start(ctx.Done())
	close(started)
	for _, run := range append(runs, collect) {
		go run(ctx)
	}
	<-ctx.Done()
	return nil
}

func forWorkloads(
	ctx context.Context, shared informers.SharedInformerFactory,
	client kubernetes.Interface, objects metadata.Interface,
) ([]func(context.Context), error) {
	apps, core := shared.Apps().V1(), shared.Core().V1()
	deployments, err := deployment.NewDeploymentController(
		ctx, apps.Deployments(), apps.ReplicaSets(), core.Pods(), client)
	if err != nil {
		return nil, err
	}
	replicas := replicaset.NewReplicaSetController(
		ctx, apps.ReplicaSets(), core.Pods(), client, replicaset.BurstReplicas)
	namespaces := namespace.NewNamespaceController(
		ctx, client, objects, client.Discovery().ServerPreferredNamespacedResources,
		core.Namespaces(), resync, corev1.FinalizerKubernetes)
	accounts, err := serviceaccount.NewServiceAccountsController(
		klog.FromContext(ctx), core.ServiceAccounts(), core.Namespaces(), client,
		serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return nil, err
	}
	return []func(context.Context){
		func(ctx context.Context) { deployments.Run(ctx, workers) },
		func(ctx context.Context) { replicas.Run(ctx, workers) },
		func(ctx context.Context) { namespaces.Run(ctx, workers) },
		func(ctx context.Context) { accounts.Run(ctx, 1) },
	}, nil
}

// collector returns the garbage collector, with what tells it which resources there are.
func collector(
	ctx context.Context, shared informers.SharedInformerFactory, client kubernetes.Interface,
	objects metadata.Interface, config *rest.Config, started <-chan struct{},
) (func(context.Context), error) {
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	all := informerfactory.NewInformerFactory(
		shared, metadatainformer.NewSharedInformerFactory(objects, resync))
	garbage, err := garbagecollector.NewGarbageCollector(
		ctx, client, objects, mapper, garbagecollector.DefaultIgnoredResources(), all, started)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) {
		go garbage.Run(ctx, workers, discover)
		garbage.Sync(ctx, client.Discovery(), discover)
	}, nil
}
