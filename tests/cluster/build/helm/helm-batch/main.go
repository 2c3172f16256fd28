// Helm-batch runs helm once for each line of its input, a JSON array of arguments, and prints a line
// of JSON with the output and the error. To start helm takes twice as long as to render a chart.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"os"

	helm "helm.sh/helm/v4/pkg/cmd"
)

type response struct {
	Output string `json:"output"`
	Error  string `json:"error"`
}

func main() {
	requests, responses := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := requests.ReadBytes('\n')
		if err == io.EOF {
			return
		}
		if err == nil {
			err = responses.Encode(run(line))
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

func run(line []byte) response {
	var arguments []string
	if err := json.Unmarshal(line, &arguments); err != nil {
		return response{Error: err.Error()}
	}
	var output bytes.Buffer
	command, err := helm.NewRootCmd(&output, arguments, helm.SetupLogging)
	if err == nil {
		command.SetArgs(arguments)
		command.SilenceErrors = true
		err = command.Execute()
	}
	if err != nil {
		return response{output.String(), err.Error()}
	}
	return response{Output: output.String()}
}
