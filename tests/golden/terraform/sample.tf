# Object storage and alerts of the bakery's order archive.
terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "Region in which the archive lives."
  type        = string
  default     = "eu-central-1"
}

variable "retention_days" {
  type        = number
  description = <<-EOT
    Days after which an order is deleted.
    Accounting needs at least 90.
  EOT

  validation {
    condition     = var.retention_days >= 90 && var.retention_days < 4000
    error_message = "Keep orders for 90 to 4000 days."
  }
}

locals {
  prefix = "bakery-${terraform.workspace}"

  # Mail addresses by the name of their owner.
  recipients = {
    for owner, settings in var.owners :
    owner => settings.mail if settings.wants_alerts
  }
}

# Every order that was delivered.
resource "aws_s3_bucket" "orders" {
  bucket = "${local.prefix}-orders"

  dynamic "lifecycle_rule" {
    for_each = toset(["standard", "express"])
    content {
      id      = lifecycle_rule.value
      enabled = true
      expiration {
        days = var.retention_days
      }
    }
  }
}

data "aws_iam_policy_document" "read_orders" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.orders.arn}/*"]
  }
}

module "alerts" {
  source = "./modules/alerts"

  recipients = local.recipients
}

/* The name that other stacks read. */
output "bucket" {
  value = aws_s3_bucket.orders.id
}

moved {
  from = aws_s3_bucket.archive
  to   = aws_s3_bucket.orders
}
