// Command kube is the servers of Kubernetes in one program; its first argument says which.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const usage = `usage: kube certificates FOLDER
       kube controllers KUBECONFIG
       kube etcd|apiserver|scheduler [FLAGS]`

func main() {
	if len(os.Args) < 2 {
		refuse(usage)
	}
	name := os.Args[1]
	os.Args = append(os.Args[:1], os.Args[2:]...)
	switch name {
	case "certificates":
		if len(os.Args) != 2 {
			refuse(usage)
		}
		if err := certificates(os.Args[1]); err != nil {
			refuse(err.Error())
		}
	case "etcd":
		etcdmain.Main(os.Args)
	case "apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "controllers":
		if len(os.Args) != 2 {
			refuse(usage)
		}
		if err := controllers(os.Args[1]); err != nil {
			refuse(err.Error())
		}
	case "scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	default:
		refuse(usage)
	}
}

func refuse(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(2)
}
