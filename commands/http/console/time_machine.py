"""Pages of their own follow."""

from fastapi import APIRouter

from commands.http.console.route import ConsoleRoute

router = APIRouter(route_class=ConsoleRoute)
