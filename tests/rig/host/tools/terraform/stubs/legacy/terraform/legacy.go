package terraform
