"""A small EC2 for tests: moto's API in front, containers as the instances.

`Ec2` is the whole of what a test needs; tests/rig/aws/README.md says what is real and what is not.
"""

from rig.aws.rig import Ami, Call, Ec2, Finished, RigError, image_tags, run_tags

__all__ = ["Ami", "Call", "Ec2", "Finished", "RigError", "image_tags", "run_tags"]
