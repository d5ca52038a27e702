"""Files of a packer-ami repository: settings, answers, Ansible content and SSM parameters."""
