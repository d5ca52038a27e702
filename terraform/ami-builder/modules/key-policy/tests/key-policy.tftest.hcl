# Which principals the policy names, with a mocked provider; tests/terraform evaluates the policy.

mock_provider "aws" {}

variables {
  account_id = "111122223333"
}

run "all_kinds_of_consumers" {
  variables {
    consumer_account_ids     = ["222233334444"]
    organization_arns        = ["arn:aws:organizations::111122223333:organization/o-exampleorgid"]
    organizational_unit_arns = ["arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-abcd-12345678"]
  }

  assert {
    condition     = length(data.aws_iam_policy_document.this.statement) == 2 + 4 * 3
    error_message = "Accounts, organizations and organizational units have four statements each."
  }

  assert {
    condition = toset(flatten([
      for statement in data.aws_iam_policy_document.this.statement :
      [for condition in statement.condition : condition.values if contains(["aws:PrincipalOrgID", "aws:PrincipalOrgPaths"], condition.variable)]
    ])) == toset(["o-exampleorgid", "o-exampleorgid/*/ou-abcd-12345678/*"])
    error_message = "Consumers of an organization are limited to it, those of a unit to the unit at any depth."
  }

  assert {
    condition = alltrue([
      for statement in data.aws_iam_policy_document.this.statement :
      length([for condition in statement.condition : condition if startswith(condition.variable, "aws:PrincipalOrg")]) == 1
      if contains(flatten([for principal in statement.principals : principal.identifiers]), "*") && statement.effect != "Deny"
    ])
    error_message = "No statement allows every principal without a condition."
  }
}

run "no_consumers" {
  assert {
    condition     = length(data.aws_iam_policy_document.this.statement) == 2
    error_message = "Without consumers, only the account itself can use the key."
  }
}
