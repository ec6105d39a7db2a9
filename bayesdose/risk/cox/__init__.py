"""Cox regression with the prior values of the package."""
